"""What a household and those who meet its certificate see."""

import io

import segno
from PIL import Image
from playwright.async_api import Locator, expect

from tests.pages.sights import OUTGOING, Sight

BORDER = 2
"""Modules around a QR code."""
DARK = 128


async def modules(code: Locator) -> tuple[bytearray, ...]:
    """The squares of a QR code as they are on the screen: what a camera would see."""
    size = int(str(await code.get_attribute("viewBox")).split()[-1])
    picture = Image.open(io.BytesIO(await code.screenshot())).convert("L")
    step = picture.width / size

    def dark(row: int, column: int) -> int:
        shade = picture.getpixel((int((column + 0.5) * step), int((row + 0.5) * step)))
        assert isinstance(shade, int)
        return int(shade < DARK)

    inner = range(BORDER, size - BORDER)
    return tuple(bytearray(dark(row, column) for column in inner) for row in inner)


async def test_the_local_page_of_messages_shows_the_code_that_was_sent(sight: Sight) -> None:
    pledge, code = await sight.signed(11)
    await sight.open(f"{OUTGOING}?pledge_id={pledge['id']}")
    await expect(sight.page.locator("article b")).to_have_text(code)
    await expect(sight.page.locator("article")).to_contain_text("138****0011")
    await sight.check_page("已发出的验证码（试用）")


async def test_a_certificate_leads_by_its_code_to_a_public_page_that_shows_no_name(sight: Sight) -> None:
    pledge = await sight.counted(12)
    await sight.open(f"/pledges/signings/{pledge['id']}/certificate")
    await sight.check_page("公筷公勺承诺证书")
    main = sight.page.locator("main")
    await expect(main).to_contain_text(f"第 {pledge['serial']} 户")
    await expect(main).to_contain_text("王**")
    await expect(main).to_contain_text("我家用公筷公勺。")
    assert await modules(sight.page.locator(".qr svg")) == segno.make(pledge["certificate"], error="m").matrix

    await sight.open(pledge["certificate"])
    await sight.check_page(f"证书核验 · 第 {pledge['serial']} 户")
    await expect(main).to_contain_text("王**")
    await expect(main.get_by_role("status")).to_contain_text("有效")


async def test_a_certificate_that_was_taken_back_says_so(sight: Sight) -> None:
    pledge = await sight.counted(13)
    await sight.done(f"/pledges/signings/{pledge['id']}/withdraw", {})
    await sight.open(pledge["certificate"])
    await sight.check_page(f"证书核验 · 第 {pledge['serial']} 户")
    await expect(sight.page.get_by_role("status")).to_contain_text("已由本户撤回")


async def test_an_unknown_certificate_is_told_in_words(sight: Sight) -> None:
    await sight.open("/pledges/certificates/nothing", status=404)
    await sight.check_page("未找到证书")
    await expect(sight.page.locator("main")).to_contain_text("请核对二维码是否完整")
    sight.forgive("404", "/certificates/nothing")
