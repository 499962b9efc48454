"""The dashboard as its readers see it."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.pages.sights import DASHBOARD, PATIENCE, Sight

PART = """async (bar) => {
  await Promise.all(document.getAnimations().map((one) => one.finished));
  return parseFloat(getComputedStyle(bar, "::before").width) / bar.getBoundingClientRect().width;
}"""
"""How much of its frame a bar fills, once it has stopped growing."""
TITLE = "公筷公勺进家庭 · 看板"


def figure(sight: Sight, label: str) -> Locator:
    """The number of a tile."""
    return sight.page.locator(".tile", has=sight.page.get_by_text(label, exact=True)).locator("b")


async def shown(sight: Sight, label: str) -> int:
    return int((await figure(sight, label).inner_text()).replace(",", ""))


async def live(sight: Sight) -> None:
    """Wait until the page says that it is."""
    await expect(sight.page.locator("#state")).to_contain_text("实时", timeout=PATIENCE)
    await expect(sight.page.locator("#state")).not_to_have_class("stale")


async def test_it_shows_the_figures_that_the_api_gives(sight: Sight) -> None:
    await sight.counted(1)
    await sight.open(DASHBOARD)
    await live(sight)
    await expect(figure(sight, "有效承诺")).not_to_have_text("0", timeout=PATIENCE)
    board = (await sight.http.get("/notifier/dashboards/pledges")).json()
    assert await shown(sight, "有效承诺") == board["totals"]["counted"]
    assert await shown(sight, "参与人数") == board["totals"]["members"]
    for county in board["by_county"]:
        row = sight.page.locator("#counties tr", has_text=county["name"])
        cells = [await cell.inner_text() for cell in await row.locator("td").all()]
        assert cells[2:4] == [str(county["counted"]), str(county["signed"])]
        assert f"约 {county['households']:,} 户" in cells[1]
    await sight.check_page(TITLE)


async def test_a_bar_is_as_long_as_the_share_that_it_shows(sight: Sight) -> None:
    await sight.counted(4)
    await sight.open(DASHBOARD)
    await live(sight)
    await expect(figure(sight, "有效承诺")).not_to_have_text("0", timeout=PATIENCE)
    board = (await sight.http.get("/notifier/dashboards/pledges")).json()
    for county in board["by_county"]:
        bar = sight.page.locator("#counties tr", has_text=county["name"]).locator(".bar i")
        part = await bar.evaluate(PART)
        assert part == pytest.approx(county["counted"] / county["households"], abs=0.002), county["name"]
    await expect(sight.page.locator("#day-heads")).to_contain_text("与最多的一天相比")


async def test_a_household_that_is_counted_appears_while_one_looks(sight: Sight) -> None:
    await sight.open(DASHBOARD)
    await live(sight)
    before = await shown(sight, "有效承诺")
    pledge = await sight.counted(2)
    await expect(figure(sight, "有效承诺")).to_have_text(str(before + 1), timeout=PATIENCE)
    await sight.done(f"/pledges/signings/{pledge['id']}/withdraw", {})
    await expect(figure(sight, "有效承诺")).to_have_text(str(before), timeout=PATIENCE)


async def test_it_says_since_when_it_is_stale_and_goes_on_by_itself(sight: Sight) -> None:
    await sight.open(DASHBOARD)
    await live(sight)
    before = await shown(sight, "有效承诺")
    sight.site.stop()
    state = sight.page.locator("#state")
    await expect(state).to_contain_text("stale since", timeout=PATIENCE)
    await expect(state).to_have_text(re.compile(r"数据停留在 \d\d:\d\d:\d\d"))
    sight.site.start()
    await sight.counted(3)
    await live(sight)
    await expect(figure(sight, "有效承诺")).to_have_text(str(before + 1), timeout=PATIENCE)
    sight.forgive("net::ERR_", "/stream?")


async def test_it_asks_again_after_an_answer_that_is_no_stream(sight: Sight) -> None:
    """As a gateway gives it while there is no replica behind it: browsers give up on those."""
    await sight.page.route("**/stream?*", lambda route: route.fulfill(status=502), times=1)
    await sight.open(DASHBOARD)
    await expect(sight.page.locator("#state")).to_contain_text("stale since", timeout=PATIENCE)
    await live(sight)
    sight.forgive("502", "/stream?")


async def test_it_asks_again_when_it_has_heard_nothing_for_long(sight: Sight) -> None:
    await sight.page.clock.install()
    await sight.open(DASHBOARD)
    await live(sight)
    async with sight.page.expect_request("**/stream?*", timeout=PATIENCE):
        await sight.page.clock.fast_forward(60_000)
    await live(sight)
