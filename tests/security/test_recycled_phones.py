"""A number is given to somebody else: her new account, with the same verified phone, reads nothing of who
had it before, gets no message, erases nothing. And a phone that somebody typed reaches nobody until it is
proven.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from jinguo.access import routes
from jinguo.issuer import Person
from shared.http.identity import Role
from shared.http.proofs import PHONE_TRUSTED
from shared.model.clock import moved, now
from tests.kit.issuing import Issuing
from tests.kit.problems import problem
from tests.kit.running import SIGNING, a_campaign, a_form, a_request
from tests.security.whole_city import City

PHONE = "13857009876"
ON_REFERRALS = [
    (method, path)
    for method, path, rule in routes()
    if "{referral_id}" in path and rule and Role.RESIDENT in rule.roles
]
BODIES: dict[str, Any] = {
    "cancel": {"why": "patient-asked"},
    "return-offer": {"why": "patient-asked"},
    "release-consult": {"why": "patient-asked"},
}


def resident(issuer: Issuing, subject: str) -> dict[str, str]:
    return issuer.bearer(Role.RESIDENT, None, subject=subject, phone=f"+86{PHONE}")


async def held(http: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, list[Any]]:
    """What every service says that it holds, and the inboxes, of whoever calls."""
    found = {name: await _seen(http, f"/{name}/me", headers) for name in ("pledges", "referrals", "notifier")}
    return found | {"inboxes": await _seen(http, "/notifier/inboxes", headers)}


async def _seen(http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> list[Any]:
    answer = await http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json())


async def by_herself(city: City, issuer: Issuing) -> str:
    asked = await city.http.post(
        "/referrals/referrals", json=a_request(phone=PHONE), headers=resident(issuer, "first")
    )
    return str(asked.json()["id"])


async def by_phone(city: City, issuer: Issuing) -> str:
    """The coordinator wrote it down for her; nobody has claimed it."""
    coordinator = issuer.bearer(Role.COORDINATOR, None)
    asked = await city.http.post("/referrals/referrals", json=a_request(phone=PHONE), headers=coordinator)
    return str(asked.json()["id"])


async def claimed(city: City, issuer: Issuing) -> str:
    """And she has made it hers with the code that her phone received."""
    referral = await by_phone(city, issuer)
    coordinator = issuer.bearer(Role.COORDINATOR, None)
    claim = (await city.http.post(f"/referrals/referrals/{referral}/claim", headers=coordinator)).json()
    await city.consumed()
    sent = await city.http.get("/notifier/outgoing.json", params={"claim_id": claim["id"]})
    [message] = sent.json()
    assert message["to"] == "138****9876" and message["code"] in message["text"]
    body = {"code": message["code"]}
    confirmed = await city.http.post(
        "/referrals/claims/confirm", json=body, headers=resident(issuer, "first")
    )
    assert confirmed.is_success, confirmed.text
    return referral


@pytest.mark.parametrize("asked", [by_herself, by_phone, claimed])
async def test_a_new_account_with_the_same_phone_reaches_no_health_record_by_any_route(
    city: City, issuer: Issuing, asked: Callable[[City, Issuing], Awaitable[str]]
) -> None:
    referral = await asked(city, issuer)
    await city.consumed()
    row = await city.host.stores["referrals"].database["referrals"].find_one({"_id": referral})
    assert row
    new = resident(issuer, "second")
    assert not any((await held(city.http, new)).values())
    assert (await city.http.get("/referrals/referrals", headers=new)).json()["items"] == []
    for method, path in ON_REFERRALS:
        real = path.replace("{referral_id}", referral)
        answer = await city.http.request(method, real, json=BODIES.get(path.rpartition("/")[2]), headers=new)
        assert (answer.status_code, problem(answer)) == (404, "not-found"), real
    assert len(ON_REFERRALS) >= 7
    inbox = f"/notifier/inbox/{row['patient']}"
    assert (await city.http.get(inbox, headers=new)).status_code == 404
    for service in ("pledges", "referrals", "notifier"):
        assert (await city.http.post(f"/{service}/me/erase", headers=new)).json() == []
    after = await city.host.stores["referrals"].database["referrals"].find_one({"_id": referral})
    assert after == row  # not a word of it changed
    if asked is not by_phone:
        hers = await held(city.http, resident(issuer, "first"))
        assert hers["inboxes"] == [row["patient"]]
        assert [found["records"]["referrals"][0]["name"] for found in hers["referrals"]] == ["周桂花"]
        assert hers["notifier"][0]["records"]["messages"]


async def test_what_somebody_typed_reaches_nobody_until_it_is_proven_and_ninety_days_after(
    city: City, issuer: Issuing
) -> None:
    hers = resident(issuer, "whose-phone-it-is")
    opened = await city.http.post("/pledges/campaigns", json=a_campaign(), headers=issuer.bearer())
    path = f"/pledges/campaigns/{opened.json()['id']}/pledges"
    form = a_form(1) | {"phone": PHONE}
    pledge = (await city.http.post(path, json=form, headers=SIGNING)).json()["id"]
    await city.consumed()
    assert not any((await held(city.http, hers)).values())

    [sent] = (await city.http.get("/notifier/outgoing.json", params={"pledge_id": pledge})).json()
    verified = await city.http.post(
        f"/pledges/signings/{pledge}/verify", json={"code": sent["code"]}, headers=SIGNING
    )
    assert verified.is_success
    await city.consumed()
    found = await held(city.http, hers)
    [person] = found["inboxes"]
    assert [len(found[name]) for name in ("pledges", "notifier", "referrals")] == [1, 1, 0]
    assert (await city.http.get(f"/notifier/inbox/{person}", headers=hers)).json()["items"]
    with moved(PHONE_TRUSTED + timedelta(minutes=1)):  # by now the number may be another's
        assert not any((await held(city.http, hers)).values())
        assert (await city.http.get(f"/notifier/inbox/{person}", headers=hers)).status_code == 404
        erased = await city.http.post("/pledges/me/erase", headers=now_signed_in(issuer))
        assert erased.json() == []
    with moved(PHONE_TRUSTED - timedelta(minutes=5)):
        assert (await held(city.http, hers))["inboxes"] == [person]


def now_signed_in(issuer: Issuing) -> dict[str, str]:
    """A login of now, wherever the clock was moved to."""
    person = Person(role=Role.RESIDENT, subject="whose-phone-it-is", phone=f"+86{PHONE}")
    return {"Authorization": f"Bearer {issuer.token(person, auth_time=int(now().timestamp()))}"}


async def test_after_ninety_days_the_phone_opens_no_more_of_a_pledge_than_a_stranger_sees(
    city: City, issuer: Issuing
) -> None:
    """By any route that takes a pledge's id, of one that was proven and of one that never was."""
    campaign = a_campaign() | {"closes_at": (now() + 4 * PHONE_TRUSTED).isoformat()}
    opened = await city.http.post("/pledges/campaigns", json=campaign, headers=issuer.bearer())
    path = f"/pledges/campaigns/{opened.json()['id']}/pledges"
    pledges = []
    for number in (1, 2):
        form = a_form(number) | {"phone": PHONE, "name": f"王小{'明红'[number - 1]}"}
        pledges.append((await city.http.post(path, json=form, headers=SIGNING)).json()["id"])
    await city.consumed()
    [sent] = (await city.http.get("/notifier/outgoing.json", params={"pledge_id": pledges[0]})).json()
    verify = f"/pledges/signings/{pledges[0]}/verify"
    assert (await city.http.post(verify, json={"code": sent["code"]}, headers=SIGNING)).is_success

    async def answers(phone: str, body: Any) -> list[tuple[str, int, str]]:
        person = Person(role=Role.RESIDENT, subject=f"of-{phone}", phone=f"+86{phone}")
        token = issuer.token(person, auth_time=int(now().timestamp()))
        found = []
        for method, template, rule in routes():
            if "{pledge_id}" in template and rule and not rule.roles:
                for pledge in pledges:
                    real = template.replace("{pledge_id}", pledge).replace("{day}", "2026-01-01")
                    answer = await city.http.request(
                        method, real, json=body, headers={"Authorization": f"Bearer {token}"}
                    )
                    found.append((f"{method} {template}", answer.status_code, answer.text))
        return found

    with moved(PHONE_TRUSTED + timedelta(minutes=1)):
        for body in (None, {}, {"code": "123456"}):
            recycled, stranger = await answers(PHONE, body), await answers("13012345678", body)
            assert recycled == stranger
        assert sum("not-the-signer" in text for _, _, text in recycled) >= 6


async def test_what_a_resident_signed_with_her_account_stays_hers_when_the_phone_does_not(
    city: City, issuer: Issuing
) -> None:
    hers = issuer.bearer(Role.RESIDENT, None, subject="first")  # of whom no phone is known
    opened = await city.http.post("/pledges/campaigns", json=a_campaign(), headers=issuer.bearer())
    path = f"/pledges/campaigns/{opened.json()['id']}/pledges"
    form = a_form(1) | {"phone": PHONE}
    pledge = (await city.http.post(path, json=form, headers=SIGNING | hers)).json()["id"]
    typed = a_form(2) | {"phone": PHONE, "name": "王小红"}
    staff = Person(role=Role.CITY_OFFICER, org="city", subject="first")
    both = issuer.token(staff, roles=[Role.CITY_OFFICER, Role.RESIDENT])  # types it for a household
    another = {"Signing-Key": "kept-by-another-household-of-hers"}
    by_staff = await city.http.post(path, json=typed, headers=another | {"Authorization": f"Bearer {both}"})
    assert by_staff.status_code == 201, by_staff.text
    await city.consumed()
    assert [len(found) for found in (await held(city.http, hers)).values()] == [1, 0, 1, 1]
    assert not any((await held(city.http, resident(issuer, "second"))).values())
    with moved(2 * PHONE_TRUSTED):
        found = await held(city.http, hers)
        assert [row["id"] for row in found["pledges"][0]["records"]["pledges"]] == [pledge]
        [person] = found["inboxes"]
        assert (await city.http.get(f"/notifier/inbox/{person}", headers=hers)).status_code == 200
    proof = (await city.http.post("/pledges/me/erase", headers=hers)).json()
    assert [erased["person"] for erased in proof] == [person]
    assert (await held(city.http, hers))["pledges"] == []


async def test_a_phone_that_an_officer_typed_finds_no_place_in_a_team_until_it_is_claimed(
    city: City, issuer: Issuing
) -> None:
    officer = issuer.bearer()
    campaign = (await city.http.post("/pledges/campaigns", json=a_campaign(), headers=officer)).json()["id"]
    team = await city.http.post(
        f"/pledges/campaigns/{campaign}/teams", json={"division": "330802", "name": "一队"}, headers=officer
    )
    members = f"/pledges/teams/{team.json()['id']}/members"
    body = {"name": "李春兰", "phone": PHONE, "role": "preacher"}
    member = (await city.http.post(members, json=body, headers=officer)).json()["id"]
    typed = resident(issuer, "whose-phone-was-typed")
    assert not any((await held(city.http, typed)).values())
    assert (await city.http.post("/pledges/me/erase", headers=typed)).json() == []

    start = f"{members}/{member}/claim"
    elsewhere = issuer.bearer(Role.COUNTY_OFFICER, "江山")
    assert (await city.http.post(start, headers=elsewhere)).status_code == 403
    another = start.replace(member, "another")
    assert (await city.http.post(another, headers=officer)).status_code == 404
    claim = (await city.http.post(start, headers=officer)).json()["id"]
    await city.consumed()
    [sent] = (await city.http.get("/notifier/outgoing.json", params={"claim_id": claim})).json()
    hers = issuer.bearer(Role.RESIDENT, None, subject="a-member")  # of whom no phone is known
    confirm = "/pledges/claims/confirm"
    confirmed = await city.http.post(confirm, json={"code": sent["code"]}, headers=hers)
    assert confirmed.status_code == 200, confirmed.text
    again = await city.http.post(start, headers=officer)
    assert (again.status_code, problem(again)) == (409, "already-claimed")
    assert not any((await held(city.http, typed)).values())
    [place] = (await held(city.http, hers))["pledges"]
    [record] = place["records"]["members"]
    assert (record["name"], record["phone"]) == ("李春兰", PHONE) and "account_key" not in record
    [proof] = (await city.http.post("/pledges/me/erase", headers=hers)).json()
    assert proof["records"] == {"members": 1}
    assert not any((await held(city.http, hers)).values())
    gone = await city.http.post(start, headers=officer)
    assert (gone.status_code, problem(gone)) == (410, "erased")
