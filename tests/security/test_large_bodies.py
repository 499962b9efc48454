"""Bodies that are larger than what a route has to do with: refused before anything is made of them."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from jinguo.services import SERVICES
from shared.host import Host
from shared.http.middleware import MAX_BODY
from tests.kit.hosts import over_asgi
from tests.kit.settings import settings_of

LARGEST = 10 * 1024 * 1024
"""What the gateway lets through must be above it: deploy/Caddyfile."""


@pytest.fixture
async def http(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_of(mongodb_uri, tmp_path, public_requests_per_minute=600, command_timeout=1.8)
    host = Host(SERVICES, settings, alone=True)
    async with over_asgi(host, raising=False) as client:
        yield client
    host.client.close()


def taking_a_body() -> Iterator[tuple[str, str, int]]:
    """Method, path and most bytes of every route that may have a body."""
    for service in SERVICES:
        for router in service.routes:
            for route in iter_route_contexts(router.routes):
                path = re.sub(r"{\w+}", "x", route.path or "")
                for method in (route.methods or set()) - {"GET", "HEAD"}:
                    yield method, f"/{service.name}{path}", route.max_body_size or MAX_BODY


async def test_no_route_takes_a_byte_more_than_it_declares(http: httpx.AsyncClient) -> None:
    found = list(taking_a_body())
    assert len(found) > 50
    for method, path, most in found:
        assert most <= LARGEST, path
        answer = await http.request(method, path, content=b"x" * (most + 1))
        assert answer.headers["content-type"] == "application/problem+json"
        told = (answer.status_code, answer.json()["type"].rpartition("/")[2], answer.json()["limit"])
        assert told == (413, "too-large", most), f"{method} {path}"


def test_the_gateway_lets_through_what_the_largest_route_takes_and_little_more() -> None:
    [told] = re.findall(r"max_size (\d+)MB", Path("deploy/Caddyfile").read_text())
    assert LARGEST < int(told) * 1_000_000 < LARGEST * 1.1
