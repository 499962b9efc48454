"""A real browser, and a platform for it to look at."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, async_playwright

from tests.kit.running import bearer
from tests.pages.sights import Sight, Site

NO_CHROMIUM = "the pages need a browser: no chromium on the PATH (Debian: apt-get install chromium)"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser of the system: none is downloaded."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(NO_CHROMIUM)
        pytest.skip(NO_CHROMIUM)
    return found


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        sandbox = os.geteuid() != 0  # it refuses to run as root with one
        started = await playwright.chromium.launch(executable_path=chromium, chromium_sandbox=sandbox)
        yield started
        await started.close()


@pytest.fixture(scope="module")
def site(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("pages")
    site = Site(mongodb_uri, folder)
    site.start()
    yield site
    site.stop()


@pytest.fixture
async def sight(browser: Browser, site: Site) -> AsyncIterator[Sight]:
    """A visitor with a phone. No page may complain to the console, whatever a test is about."""
    site.start()
    context = await browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN")
    headers = bearer(site.url) | {"Signing-Key": "kept-by-the-household-that-signs"}
    async with httpx.AsyncClient(base_url=site.url, timeout=30, headers=headers) as http:
        sight = Sight(await context.new_page(), site, http)
        yield sight
        await context.close()
    assert sight.complaints == []
