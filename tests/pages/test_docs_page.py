"""The documentation of each service's routes, in a browser that reaches nothing but the platform."""

import pytest
from playwright.async_api import Route, expect

from jinguo.services import SERVICES
from shared.service import Service
from tests.pages.sights import PATIENCE, Sight


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_the_routes_are_shown_without_the_internet(sight: Sight, service: Service) -> None:
    name, title = service.name, service.title
    elsewhere: list[str] = []

    async def cut_off(route: Route) -> None:
        if route.request.url.startswith((f"{sight.site.url}/{name}/", "data:")):
            await route.continue_()
        else:
            elsewhere.append(route.request.url)
            await route.abort()

    await sight.page.context.route("**/*", cut_off)
    await sight.open(f"/{name}/docs")
    await expect(sight.page).to_have_title(f"{title} · {name} · API")
    operations = sight.page.locator(".opblock")
    await expect(operations.first).to_be_visible(timeout=PATIENCE)
    described = (await sight.http.get(f"/{name}/openapi.json")).json()["paths"]
    assert await operations.count() == sum(len(methods) for methods in described.values())
    await operations.first.click()
    await expect(sight.page.locator(".opblock-body").first).to_be_visible(timeout=PATIENCE)
    assert elsewhere == []
