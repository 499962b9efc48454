"""Repeated answers: whoever guesses an Idempotency-Key gets nothing by it, and takes none from anybody."""

import re
from typing import Any

import httpx
import pytest

from jinguo.access import routes
from jinguo.services import SERVICES
from services.pledges.domain.pledge import Pledge
from shared.model.clock import now
from shared.model.roles import Role
from shared.store.answers import Answers
from shared.store.request_keys import PROVES, RequestKey, proof_headers
from tests.kit.issuing import Issuing, somebody
from tests.kit.problems import problem
from tests.kit.running import SIGNING, a_campaign, a_form, a_request
from tests.security.whole_city import City

POSTS = [(path, rule) for method, path, rule in routes() if method == "POST" and rule]
KEY = {"Idempotency-Key": "today-1"}
PHONE = "+8613857001234"
NO_PROOF = {"if-match", "last-event-id", "acting-role"}
"""What routes read from headers and what proves nothing. (A role is chosen among those of a token.)"""


def filled(path: str) -> str:
    known = {"division": "330802", "community": "330802005001", "day": "2020-03-08", "department": "breast"}
    return re.sub(r"{(\w+)}", lambda name: known.get(name[1], "x"), path)


def of(issuer: Issuing, role: Role, subject: str = "somebody", **claims: Any) -> dict[str, str]:
    verified = {"phone_number": PHONE, "phone_number_verified": True}
    token = issuer.token(somebody(role), sub=subject, **verified | claims)
    return {"Authorization": f"Bearer {token}"}


async def counted(city: City, issuer: Issuing, **headers: str) -> str:
    """The id of a pledge that its household, known by its Signing-Key, may check in with."""
    opened = await city.http.post("/pledges/campaigns", json=a_campaign(), headers=issuer.bearer())
    path = f"/pledges/campaigns/{opened.json()['id']}/pledges"
    signed = await city.http.post(path, json=a_form(1), headers=SIGNING | headers)
    pledge = str(signed.json()["id"])
    await (
        city.host.stores["pledges"]
        .collection(Pledge)
        .update_one({"_id": pledge}, {"$set": {"state": "counted", "serial": 1, "signed_day": "2020-03-08"}})
    )
    return pledge


# ── over all routes ──────────────────────────────────────────────────────────────────────────────────


async def test_on_no_route_is_anything_repeated_to_whom_it_refuses(
    http: httpx.AsyncClient, issuer: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst case: what they bring is taken for that of whoever did it."""

    async def found(_: Answers, __: Any, request: RequestKey) -> dict[str, Any]:
        kept = {"fingerprint": request.fingerprint, "status": 200, "etag": ""}
        return kept | {"body": '{"secret": "of another"}', "at": now()}

    monkeypatch.setattr(Answers, "find", found)
    refused, taken = 0, 0
    for path, _ in POSTS:
        for headers in ({}, *(of(issuer, role) for role in Role)):
            plain = await http.post(filled(path), headers=headers)
            guessed = await http.post(filled(path), headers=headers | KEY)
            if plain.status_code not in (401, 403, 404):
                taken += guessed.headers.get("idempotency-replayed") == "true"
                continue
            assert (guessed.status_code, guessed.json()) == (plain.status_code, plain.json()), path
            assert "idempotency-replayed" not in guessed.headers
            refused += 1
    assert refused > 4 * len(POSTS)
    assert taken > len(POSTS) // 2  # where it is not refused, what was planted is what is answered


async def test_on_every_route_the_same_key_of_others_is_another_key(
    http: httpx.AsyncClient, issuer: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[str]()

    async def look(_: Answers, __: Any, request: RequestKey) -> None:
        seen.append(request.identity)

    monkeypatch.setattr(Answers, "find", look)
    tried = 0
    for path, rule in POSTS:
        roles = sorted(rule.roles) or [None, Role.RESIDENT]
        callers = [{} if role is None else of(issuer, role, who) for role in roles for who in ("a", "b")]
        if path.startswith("/pledges/"):
            callers = [caller | {"Signing-Key": key * 22} for caller in callers[1:] for key in "xy"]
        identities = []
        for caller in callers:
            seen.clear()
            await http.post(filled(path), json={"unknown": 1}, headers=caller | KEY)
            identities += seen
        assert len(set(identities)) == len(identities), path
        tried += len(identities)
    assert tried > 2 * len(POSTS)


def test_every_header_that_a_route_reads_is_said_to_prove_something_or_known_not_to() -> None:
    for service in SERVICES:
        proofs = set(proof_headers(service.routers))
        for path, header in headers_read(service.routers):
            assert header in NO_PROOF | proofs, (
                f"{path}: does {header} prove something? mark it with {PROVES}"
            )
    assert proof_headers(next(s for s in SERVICES if s.name == "pledges").routers) == ("signing-key",)


def headers_read(routers: Any) -> list[tuple[str, str]]:
    def of_dependant(dependant: Any) -> list[str]:
        own = [field.alias.lower() for field in dependant.header_params]
        return own + [name for inner in dependant.dependencies for name in of_dependant(inner)]

    found = [route for router in routers for route in router.routes]
    return [(route.path, name) for route in found for name in of_dependant(route.dependant)]


# ── what was tried ───────────────────────────────────────────────────────────────────────────────────


async def a_guessed_key_does_not_repeat_the_holders_check_in(city: City, issuer: Issuing) -> None:
    pledge = await counted(city, issuer)
    path = f"/pledges/signings/{pledge}/check-ins"
    first = await city.http.post(path, headers=SIGNING | KEY)
    assert first.status_code == 201
    for stranger in ({}, {"Signing-Key": "z" * 22}, of(issuer, Role.RESIDENT)):
        plain = await city.http.post(path, headers=stranger)
        guessed = await city.http.post(path, headers=stranger | KEY)
        assert (guessed.status_code, problem(guessed)) == (403, "not-the-signer")
        assert guessed.json() == plain.json()
    again = await city.http.post(path, headers=SIGNING | KEY)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"


async def the_same_form_with_another_signing_key_is_not_done_already(city: City, issuer: Issuing) -> None:
    opened = await city.http.post("/pledges/campaigns", json=a_campaign(), headers=issuer.bearer())
    path, form = f"/pledges/campaigns/{opened.json()['id']}/pledges", a_form(1)
    keys = [{"Signing-Key": letter * 22} for letter in "ab"]
    pledges = [(await city.http.post(path, json=form, headers=key | KEY)).json()["id"] for key in keys]
    assert pledges[0] != pledges[1]
    for key, own, others in ((keys[0], *pledges), (keys[1], *reversed(pledges))):
        withdraw = "/pledges/signings/{}/withdraw"
        assert (await city.http.post(withdraw.format(others), json={}, headers=key)).status_code == 403
        assert (await city.http.post(path, json=form, headers=key | KEY)).json()["id"] == own


async def nobody_takes_the_key_of_the_manual_before_others(city: City, issuer: Issuing) -> None:
    opened = await city.http.post("/pledges/campaigns", json=a_campaign(), headers=issuer.bearer())
    path, mine = f"/pledges/campaigns/{opened.json()['id']}/pledges", {"Idempotency-Key": "my-first"}
    squatted = await city.http.post(path, json=a_form(1), headers={"Signing-Key": "q" * 22} | mine)
    signed = await city.http.post(path, json=a_form(2), headers=SIGNING | mine)
    assert (squatted.status_code, signed.status_code) == (201, 201)
    reused = await city.http.post(path, json=a_form(3), headers=SIGNING | mine)
    assert (reused.status_code, problem(reused)) == (422, "idempotency-key-reused")


async def whose_scope_is_another_now_gets_no_answer_of_before(city: City, issuer: Issuing) -> None:
    opened = await city.http.post("/pledges/campaigns", json=a_campaign(), headers=issuer.bearer())
    path = f"/pledges/campaigns/{opened.json()['id']}/teams"
    body = {"division": "330802", "name": "柯城宣讲队"}
    officer = of(issuer, Role.COUNTY_OFFICER, "officer")
    assert (await city.http.post(path, json=body, headers=officer | KEY)).status_code == 201
    moved_on = {
        "Authorization": f"Bearer {issuer.token(somebody(Role.COUNTY_OFFICER, '江山'), sub='officer')}"
    }
    refused = await city.http.post(path, json=body, headers=moved_on | KEY)
    assert (refused.status_code, problem(refused)) == (403, "forbidden")
    assert "idempotency-replayed" not in refused.headers


async def an_erasure_is_answered_again_to_whoever_asked_for_it_and_to_nobody_else(
    city: City, issuer: Issuing
) -> None:
    pledge = await counted(city, issuer)
    path = f"/pledges/signings/{pledge}/erase"
    first = await city.http.post(path, headers=SIGNING | KEY)
    again = await city.http.post(path, headers=SIGNING | KEY)
    assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json())
    assert (await city.http.post(path, headers={"Signing-Key": "z" * 22} | KEY)).status_code == 403

    hers = of(issuer, Role.RESIDENT, "patient")
    asked = await city.http.post("/referrals/referrals", json=a_request(phone=PHONE[3:]), headers=hers)
    path = f"/referrals/referrals/{asked.json()['id']}/erase"
    erased = await city.http.post(path, headers=hers | KEY)
    assert (await city.http.post(path, headers=hers | KEY)).json() == erased.json()
    assert (await city.http.post(path, headers=of(issuer, Role.RESIDENT, "other") | KEY)).status_code == 404


async def erasing_all_with_one_key_is_answered_again(city: City, issuer: Issuing) -> None:
    hers = of(issuer, Role.RESIDENT, "another-patient")
    for department in ("breast", "head-neck-thyroid"):
        body = a_request(phone=PHONE[3:], department=department)
        assert (await city.http.post("/referrals/referrals", json=body, headers=hers)).status_code == 201
    first = await city.http.post("/referrals/me/erase", headers=hers | KEY)
    again = await city.http.post("/referrals/me/erase", headers=hers | KEY)
    assert [proof["records"]["referrals"] for proof in first.json()] == [1, 1]
    assert again.json() == first.json()
    assert (await city.http.get("/referrals/referrals", headers=hers)).json()["items"] == []


async def test_what_was_tried_with_keys_of_others(city: City, issuer: Issuing) -> None:
    """One city for all of it: each begins with a campaign or a patient of its own."""
    await a_guessed_key_does_not_repeat_the_holders_check_in(city, issuer)
    await the_same_form_with_another_signing_key_is_not_done_already(city, issuer)
    await nobody_takes_the_key_of_the_manual_before_others(city, issuer)
    await whose_scope_is_another_now_gets_no_answer_of_before(city, issuer)
    await an_erasure_is_answered_again_to_whoever_asked_for_it_and_to_nobody_else(city, issuer)
    await erasing_all_with_one_key_is_answered_again(city, issuer)
