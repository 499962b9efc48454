"""The referral dashboard as those who answer for the green channel see it."""

from playwright.async_api import Locator, expect

from shared.http.identity import Role
from tests.kit.running import a_request, bearer
from tests.pages.sights import PATIENCE, Sight

PAGE = "/notifier/dashboards/referrals/page"
TITLE = "女性健康绿色通道 · 看板"


async def asks(sight: Sight, number: int) -> None:
    """A patient asks for a referral."""
    body = a_request(phone=f"1385700{number:04d}")
    phone = {"subject": f"page-{number}", "phone": f"+86{body['phone']}"}
    headers = bearer(sight.site.url, Role.RESIDENT, None, **phone)
    answer = await sight.http.post("/referrals/referrals", json=body, headers=headers)
    assert answer.is_success, answer.text


async def enter(sight: Sight, role: Role) -> None:
    headers = bearer(sight.site.url, role, None if role is Role.COORDINATOR else "city")
    await sight.page.get_by_label("令牌 token").fill(headers["Authorization"].removeprefix("Bearer "))
    await sight.page.get_by_role("button").click()


def people(sight: Sight) -> Locator:
    return sight.page.locator(".tile", has=sight.page.get_by_text("办理中", exact=True)).locator("b")


async def test_it_shows_small_groups_to_nobody_and_follows_what_happens(sight: Sight) -> None:
    for number in range(4):
        await asks(sight, number)
    await sight.open(PAGE)
    await enter(sight, Role.COORDINATOR)
    await expect(people(sight)).to_have_text("—", timeout=PATIENCE)
    await expect(sight.page.locator("#running")).to_contain_text("人数过少")
    await asks(sight, 4)
    await expect(people(sight)).to_have_text("5", timeout=PATIENCE)
    await expect(sight.page.locator("#running")).to_contain_text("柯城区")
    await expect(sight.page.locator("#ended")).to_contain_text("暂无")
    await expect(sight.page.locator("#state")).to_contain_text("实时")
    await expect(sight.page.get_by_label("令牌 token")).to_be_hidden()
    await sight.check_page(TITLE)


async def test_it_says_since_when_it_is_stale_and_goes_on_by_itself(sight: Sight) -> None:
    await sight.open(PAGE)
    await enter(sight, Role.CITY_OFFICER)
    state = sight.page.locator("#state")
    await expect(state).to_contain_text("实时", timeout=PATIENCE)
    sight.site.stop()
    await expect(state).to_contain_text("stale since", timeout=PATIENCE)
    sight.site.start()
    await expect(state).to_contain_text("实时", timeout=PATIENCE)
    sight.forgive("net::ERR_", "/stream")


async def test_who_may_not_see_it_is_told_so(sight: Sight) -> None:
    await sight.open(PAGE)
    await enter(sight, Role.RESIDENT)
    await expect(sight.page.locator("#state")).to_contain_text("无权查看", timeout=PATIENCE)
    await expect(sight.page.locator("#board")).to_be_hidden()
    await sight.page.get_by_label("令牌 token").fill("nonsense")
    await sight.page.get_by_role("button").click()
    await expect(sight.page.locator("#state")).to_contain_text("令牌无效", timeout=PATIENCE)
    sight.forgive("403", "/stream")
    sight.forgive("401", "/stream")
