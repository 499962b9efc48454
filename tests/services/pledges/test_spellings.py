"""One household and one person however they are written; no name that is none; codes as they are typed."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from shared.http.identity import Role
from tests.kit.problems import problem
from tests.services.pledges.town import KEPT, Town, a_form

UNSEEN = re.compile("[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f]")
DOORS = [
    *("3幢\u200b201室", "３幢２０１室", "三幢二〇一室", "新新街道3幢201室", "\u202e3幢201室\u3164"),
    "衢州市柯城区新新街道金桂社区三幢二〇一室",
]
SIGNERS = [
    ({"name": "阿依古丽·买买提"}, {"name": "阿依古丽．买买提"}),
    ({"name": "王小明"}, {"name": "王\u200b小明"}),
    ({"phone": "13900003006"}, {"phone": "١٣٩٠٠٠٠٣٠٠٦"}),
    ({"phone": "13900000110"}, {"phone": "\u202a13900000110\u202c"}),
    ({"phone": "13900000111"}, {"phone": "8613900000111"}),
]
NO_NAMES = [
    *("王\x00明", "王\x07明", "王\n明", "·", "\u200b", "😀", "<script>", '=HYPERLINK("x")', "12345"),
    *("", " ", "王小明\n"),
]


def faults(answer: httpx.Response) -> list[str]:
    assert (answer.status_code, problem(answer)) == (422, "invalid-request"), answer.text
    return [error["field"] for error in answer.json()["errors"]]


async def test_a_door_is_one_household_however_it_is_written(town: Town) -> None:
    campaign = await town.campaign()
    await town.counted(campaign, door="3幢201室")
    for door in DOORS:
        other = await town.sign(campaign, door=door)
        await town.verify(other["id"])
        state = (await town.get(f"/signings/{other['id']}"))["state"]
        assert state != "counted", door
    assert (await town.counted(campaign, door="金桂苑3幢201室"))["serial"] == 2, "another house"


async def test_a_signer_without_a_door_is_one_household_however_written(town: Town) -> None:
    campaign, same = await town.campaign(), {"door": None, "name": "李梅", "phone": "13911112222"}
    for one, other in SIGNERS:
        await town.counted(campaign, **(same | one))
        again = await town.sign(campaign, **(same | other))
        await town.verify(again["id"])
        assert (await town.get(f"/signings/{again['id']}"))["state"] != "counted", other


async def test_what_is_no_name_is_422_naming_the_field(town: Town) -> None:
    path = f"/campaigns/{await town.campaign()}/pledges"
    for name in NO_NAMES:
        assert faults(await town.post(path, a_form() | {"name": name})) == ["body.name"], name


async def test_what_cannot_be_seen_is_stored_nowhere_and_shown_to_nobody(town: Town) -> None:
    campaign = await town.campaign(title="\u202e公筷\u200b公勺", text="第一条\x07\r\n第二条\u2028")
    shown = await town.get(f"/campaigns/{campaign}")
    assert (shown["title"], shown["texts"][0]["text"]) == ("公筷公勺", "第一条\n第二条")
    pledge = await town.counted(campaign, name="\u202e欧阳小明", door="\u202e5幢\u200b101室")
    [link] = (await town.get(f"/campaigns/{campaign}/chains/{pledge['community']}"))["items"]
    assert link["name"] == "欧阳**"
    page = await town.http.get(f"/pledges/certificates/{pledge['certificate'].rpartition('/')[2]}")
    assert page.status_code == 200
    assert not UNSEEN.search(page.text.replace("\n", ""))
    phone = town.forms[pledge["id"]]["phone"]
    hers = town.issuer.bearer(Role.RESIDENT, None, phone=phone)
    [held] = (await town.http.get("/pledges/me", headers=hers)).json()
    [stored] = held["records"]["pledges"]
    assert (stored["name"], stored["door"]) == ("欧阳小明", "5幢101室")


async def test_a_verified_phone_finds_its_pledges_however_the_issuer_writes_it(town: Town) -> None:
    pledge = await town.counted(await town.campaign(), phone="13800000001")
    for written in (
        "13800000001",
        "+8613800000001",
        "+86 138 0000 0001",
        "+86-138-0000-0001",
        "008613800000001",
    ):
        hers = town.issuer.bearer(Role.RESIDENT, None, phone=written)
        held = (await town.http.get("/pledges/me", headers=hers)).json()
        assert [one["records"]["pledges"][0]["id"] for one in held] == [pledge["id"]], written


async def test_a_code_is_taken_as_it_was_pasted(town: Town) -> None:
    campaign = await town.campaign()

    async def verified(write: Callable[[str], str]) -> None:
        pledge = await town.sign(campaign)
        code = write(await town.code(pledge["id"]))
        answer = await town.post(f"/signings/{pledge['id']}/verify", {"code": code})
        assert (answer.status_code, answer.json()["state"]) == (200, "counted"), code

    await verified(lambda code: f"{code}\r\n")
    await verified(lambda code: f" \u200b{code}\u3000")
    await verified(lambda code: f"{code[:3]} {code[3:]}")
    await verified(lambda code: "".join(chr(ord(digit) + 0xFEE0) for digit in code))


async def test_what_is_no_six_digits_costs_no_try(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    path = f"/signings/{pledge['id']}/verify"
    for code in ("", "12345", "1234567", "abcdef", "12 34", "１２３４５", "一二三四五六", "\u200b"):
        assert faults(await town.post(path, {"code": code})) == ["body.code"]
    right = await town.code(pledge["id"])
    wrong = await town.post(path, {"code": "000000" if right != "000000" else "111111"})
    assert wrong.json()["tries_left"] == 4, "the first that counts"
    assert (await town.verify(pledge["id"])).json()["state"] == "counted"


async def test_a_form_is_strict_json(town: Town) -> None:
    path = f"/campaigns/{await town.campaign()}/pledges"
    wrong: dict[str, Sequence[Any]] = {
        "members": (True, "3", 3.5, None),
        "consent": (1, "true", False, None),
        "text_version": ("1", True),
        "name": (5, True),
        "phone": (13800001111,),
        "role": (1,),
    }
    for field, values in wrong.items():
        for value in values:
            assert faults(await town.post(path, a_form() | {field: value})) == [f"body.{field}"], value


async def test_a_key_that_stands_twice_is_refused_at_any_depth(town: Town) -> None:
    async def post(path: str, text: str) -> httpx.Response:
        headers = {"Content-Type": "application/json"} | KEPT
        return await town.http.post(f"/pledges{path}", content=text.encode(), headers=headers)

    form = httpx.Request("POST", "http://town", json=a_form()).content.decode()
    path = f"/campaigns/{await town.campaign()}/pledges"
    assert (await post(path, form)).status_code == 201
    assert faults(await post(path, form.replace('"members"', '"members":2,"members"'))) == ["body.members"]
    bulk = '{"condition":{"role":"member","role":"hostess"},"reason":"duplicate"}'
    assert faults(await post("/invalidations", bulk)) == ["body.condition.role"]
