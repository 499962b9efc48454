"""What visitors of the pages do, and what they must never see."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import ConsoleMessage, Page, expect

from shared.local.child import free_port
from tests.kit.running import a_campaign, a_form, flow_settings, serving
from tests.kit.waiting import eventually

PATIENCE = 20_000
"""Milliseconds until what a page should show is shown."""
OFF_SCREEN = """[...document.body.querySelectorAll("*")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && (box.left < 0 || box.right > document.documentElement.clientWidth + 0.5);
}).map((one) => one.outerHTML)"""
"""The elements that one would have to scroll sideways for."""
FULL_PHONE = re.compile(r"(?<![0-9A-Za-z])1[3-9]\d{9}(?![0-9A-Za-z])")
DASHBOARD = "/notifier/dashboards/pledges/page"
OUTGOING = "/notifier/outgoing"


class Site:
    """The platform at one address: it can be stopped, and started again on the same data."""

    def __init__(self, mongodb_uri: str, folder: Path) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._settings = flow_settings(mongodb_uri, folder, public_url=self.url, command_timeout=10)
        self._running = ExitStack()
        self._runs = False

    def start(self) -> None:
        """Serve; nothing to do when it does."""
        if not self._runs:
            self._running.enter_context(serving(self._settings, self._port))
            self._runs = True

    def stop(self) -> None:
        self._running.close()
        self._runs = False


class Sight:
    """One visitor's page."""

    def __init__(self, page: Page, site: Site, http: httpx.AsyncClient) -> None:
        self.page, self.site, self.http = page, site, http
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} at {message.location}")

    async def open(self, path: str, status: int = 200) -> None:
        answer = await self.page.goto(path if path.startswith("http") else self.site.url + path)
        assert answer and answer.status == status

    async def check_page(self, title: str) -> None:
        """What holds for every page: its title and language, nothing personal, nothing off the screen."""
        await expect(self.page).to_have_title(title)
        assert await self.page.locator("html").get_attribute("lang") == "zh-CN"
        source = await self.page.content()
        assert not FULL_PHONE.search(source)
        assert "王小明" not in source
        assert await self.page.evaluate(OFF_SCREEN) == []

    def forgive(self, *texts: str) -> None:
        """Complaints with all these texts are what a test was about."""
        self.complaints = [one for one in self.complaints if not all(text in one for text in texts)]

    # ── what households do meanwhile ─────────────────────────────────────────────────────────────

    async def done(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def signed(self, number: int) -> tuple[dict[str, Any], str]:
        """Household `number` hands in its form. The pledge, and the code that was sent."""
        campaigns = (await self.http.get("/pledges/campaigns")).json()["items"]
        campaign = campaigns[0] if campaigns else await self.done("/pledges/campaigns", a_campaign())
        pledge = await self.done(f"/pledges/campaigns/{campaign['id']}/pledges", a_form(number))

        async def sent() -> str | None:
            found = (await self.http.get(f"{OUTGOING}.json", params={"pledge_id": pledge["id"]})).json()
            return str(found[0]["code"]) if found else None

        return pledge, await eventually(sent)

    async def counted(self, number: int) -> dict[str, Any]:
        """Household `number` signs and proves its phone."""
        pledge, code = await self.signed(number)
        return await self.done(f"/pledges/signings/{pledge['id']}/verify", {"code": code})
