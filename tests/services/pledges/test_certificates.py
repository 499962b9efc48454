"""Certificates and what their QR code leads to."""

from urllib.parse import urlsplit

from services.pledges import pages
from tests.kit.problems import problem
from tests.services.pledges.town import Town


async def public_page(town: Town, url: str) -> str:
    answer = await town.http.get(urlsplit(url).path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


async def test_the_public_page_verifies_a_certificate_and_shows_no_full_name(town: Town) -> None:
    pledge = await town.counted(await town.campaign(), name="王小明")
    page = await public_page(town, pledge["certificate"])
    assert "第 1 户" in page and "王**" in page and "有效" in page
    assert pledge["community_name"] in page
    form = town.forms[pledge["id"]]
    for personal in ("王小明", form["phone"], form["door"], pledge["id"]):
        assert personal not in page
    path = urlsplit(pledge["certificate"]).path.removeprefix("/pledges")
    facts = await town.get(f"{path}/facts")
    assert (facts["name"], facts["serial"], facts["valid"]) == ("王**", 1, True)
    svg = await town.http.get(f"/pledges{path}/qr.svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert svg.text.startswith("<svg")


async def test_the_certificate_carries_the_text_and_the_code(town: Town) -> None:
    pledge = await town.counted(await town.campaign(text="我家<公筷>公勺"))
    page = (await town.http.get(f"/pledges/signings/{pledge['id']}/certificate")).text
    assert "我家&lt;公筷&gt;公勺" in page
    assert pages.qr_svg(pledge["certificate"]) in page


async def test_a_pledge_that_is_not_counted_has_no_certificate(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    assert problem(await town.http.get(f"/pledges/signings/{pledge['id']}/certificate")) == "not-counted"


async def test_an_ended_pledge_says_so(town: Town) -> None:
    campaign = await town.campaign()
    left, struck = await town.counted(campaign), await town.counted(campaign)
    await town.done(f"/signings/{left['id']}/withdraw", {})
    await town.done(f"/reviews/{struck['id']}/invalidate", {"reason": "false-information"})
    assert "已由本户撤回" in await public_page(town, left["certificate"])
    page = await public_page(town, struck["certificate"])
    assert "已作废" in page and "有效" not in page and "虚假信息" not in page


async def test_an_erased_signer_is_gone_from_the_page(town: Town) -> None:
    pledge = await town.counted(await town.campaign(), name="王小明")
    await town.erase_signer(pledge["id"])
    assert "（已删除）" in await public_page(town, pledge["certificate"])


async def test_an_unknown_token_is_not_found(town: Town) -> None:
    answer = await town.http.get("/pledges/certificates/nothing")
    assert (answer.status_code, "未找到证书" in answer.text) == (404, True)
    assert (await town.http.get("/pledges/certificates/nothing/facts")).status_code == 404
