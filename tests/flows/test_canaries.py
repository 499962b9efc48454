"""The test that matters for privacy: what is personal is found nowhere outside an encrypted field."""

import io
from typing import Any

import httpx
import pytest
from PIL import Image

from jinguo.connection import Platform
from jinguo.operations import settled
from shared.http.identity import Role
from shared.settings import Settings
from tests.flows.canaries import Finder
from tests.kit.running import COMMUNITY, a_campaign, bearer, serving
from tests.kit.waiting import eventually

NAME, DOOR, PHONE = "钱金丝雀", "17幢金丝雀弄88号", "19987654321"
OTHER_NAME, OTHER_PHONE = "孙金丝雀", "19912345678"
MEMBER, MEMBER_PHONE = "李金丝雀", "19955555555"
KEPT = "canary-that-proves-who-signed"
CANARIES = (NAME, DOOR, PHONE, OTHER_NAME, OTHER_PHONE, MEMBER, MEMBER_PHONE, KEPT)


class Resident:
    """A household that goes through all of it, over HTTP."""

    def __init__(self, http: httpx.AsyncClient, campaign: str) -> None:
        self.http, self.campaign = http, campaign

    async def post(self, path: str, body: dict[str, Any] | None = None, status: int = 0) -> dict[str, Any]:
        answer = await self.http.post(f"/pledges{path}", json=body)
        assert answer.status_code == status or (not status and answer.is_success), answer.text
        return dict(answer.json())

    async def sign(self, name: str, phone: str, **door: str) -> str:
        form = {"community": COMMUNITY, "name": name, "role": "hostess", "phone": phone, "members": 3}
        path = f"/campaigns/{self.campaign}/pledges"
        return str((await self.post(path, form | {"text_version": 1, "consent": True} | door))["id"])

    async def code(self, pledge: str) -> str:
        async def sent() -> Any:
            return (await self.http.get("/notifier/outgoing.json", params={"pledge_id": pledge})).json()

        return str((await eventually(sent))[0]["code"])

    async def prove(self, pledge: str) -> None:
        await self.post(f"/signings/{pledge}/verify", {"code": await self.code(pledge)})


async def test_nothing_personal_lies_in_clear_anywhere(
    settings: Settings, platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    finder = Finder(*CANARIES)
    with serving(settings) as url:
        headers = bearer(url) | {"Signing-Key": KEPT}
        async with httpx.AsyncClient(base_url=url, timeout=30, headers=headers) as http:
            campaign = (await http.post("/pledges/campaigns", json=a_campaign())).json()["id"]
            pledges = await everything_of_pledges(Resident(http, campaign))
            assert await settled(platform, 60)
            await finder.look_at(
                http,
                "/metrics/",
                "/notifier/dashboards/pledges",
                "/notifier/dashboards/pledges/page",
                "/notifier/outgoing",
                f"/notifier/offices/{COMMUNITY[:6]}/inbox",
                "/pledges/reviews",
                "/pledges/listed-phones",
                f"/pledges/campaigns/{campaign}/chains/{COMMUNITY}",
                *(f"/pledges/signings/{pledge}" for pledge in pledges),
            )
            mine = bearer(url, Role.RESIDENT, None, phone=f"+86{PHONE}")
            for person in (await http.get("/notifier/inboxes", headers=mine)).json():
                inbox = await http.get(f"/notifier/inbox/{person}", headers=mine)
                finder.look("inbox", inbox.content)
    await finder.look_everywhere(platform, capfd)
    assert finder.found == []
    assert finder.searched > 100
    await the_finder_finds(platform, settings)


async def the_finder_finds(platform: Platform, settings: Settings) -> None:
    """It would have: a name put somewhere in clear is seen."""
    database = platform.client[f"{settings.database_prefix}_pledges"]
    await database["notes"].insert_one({"deep": [{"text": f"来自{NAME}"}]})
    finder = Finder(*CANARIES)
    await finder.look_in_databases(platform.client, settings.database_prefix)
    assert len(finder.found) == 1


async def everything_of_pledges(resident: Resident) -> list[str]:
    """Signed, counted, checked in with a photo, reviewed, struck out, withdrawn, erased; and much fails."""
    post, http = resident.post, resident.http
    reason = {"reason": "suspicious"}
    pledge = await resident.sign(NAME, PHONE, door=DOOR)
    await post(f"/signings/{pledge}/verify", {"code": "000000"}, 422)
    await resident.prove(pledge)
    day = (await post(f"/signings/{pledge}/check-ins"))["day"]
    photo = io.BytesIO()
    Image.new("RGB", (64, 64), "tomato").save(photo, "PNG")
    path = f"/pledges/signings/{pledge}/check-ins/{day}/photo"
    assert (await http.put(path, content=photo.getvalue())).status_code == 204
    await post("/listed-phones", {"phone": OTHER_PHONE, "kind": "block"} | reason)
    held = await resident.sign(OTHER_NAME, OTHER_PHONE)
    await resident.prove(held)
    await post(f"/reviews/{held}/invalidate", reason)
    again = await resident.sign(NAME, PHONE, door=DOOR)
    await post(f"/signings/{again}/verify", {"code": await resident.code(again)}, 409)
    await errs(resident)
    team = (await post(f"/campaigns/{resident.campaign}/teams", {"division": COMMUNITY, "name": "一队"}))[
        "id"
    ]
    await post(f"/teams/{team}/members", {"name": MEMBER, "phone": MEMBER_PHONE, "role": "preacher"})
    await post("/invalidations", {"condition": {"phone": PHONE}} | reason)
    await post(f"/signings/{again}/withdraw", {})
    await post(f"/signings/{pledge}/erase")
    return [pledge, held, again]


async def errs(resident: Resident) -> None:
    """Personal words where they do not belong, which are refused and must not be repeated anywhere."""
    path = f"/campaigns/{resident.campaign}/pledges"
    await resident.post(path, {"community": NAME, "phone": DOOR, "name": 5, PHONE: OTHER_NAME}, 422)
    await resident.post(f"/campaigns/{PHONE}/pledges", {"name": NAME}, 422)
    answer = await resident.http.post(f"/pledges{path}", content=f'{{"name": "{NAME}",'.encode())
    assert answer.status_code == 422
    assert (await resident.http.get("/notifier/outgoing.json", params={"pledge_id": PHONE})).json() == []
