"""Whose record it is not does not learn that there is one: every route that takes an id, with a real one."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from jinguo.access import routes
from shared.model.clock import moved
from shared.model.roles import Role
from tests.kit.problems import facts, problem
from tests.services.referrals.desk import Desk, Who, in_days

REASONED = ("return-offer", "release-consult", "cancel", "fail", "enter-in-error")
BODIES: dict[str, Any] = {
    "triage": {"urgency": "routine"},
    "accept": {},
    "decline": {"why": "out-of-scope"},
    "offer-bed": {"admission_day": in_days(3)},
    "consult": {},
    "complete": {},
    "hold": {"why": "patient-asked", "until": in_days(3)},
    "book-consult": {"slot_id": "x"},
    "reschedule": {"slot_id": "x"},
    **{move: {"why": "patient-asked"} for move in REASONED},
}
OPEN_TO_ALL_STAFF = "break-glass"
"""It is what another department's clinician may do: written down, and reviewed."""
ON_REFERRALS = [
    (method, path.removeprefix("/referrals"), rule)
    for method, path, rule in routes()
    if "{referral_id}" in path and not path.endswith(OPEN_TO_ALL_STAFF)
]


@pytest.mark.parametrize("stranger", [Who.THYROID, Who.NEIGHBOUR])
async def test_who_has_nothing_to_do_with_a_referral_finds_none(desk: Desk, stranger: Who) -> None:
    role = Role.CLINICIAN if stranger is Who.THYROID else Role.RESIDENT
    referral = await desk.accepted()
    before = await desk.told(referral)
    tried = 0
    for method, path, rule in ON_REFERRALS:
        assert rule
        if role in rule.roles:
            real = path.replace("{referral_id}", referral)
            body = BODIES.get(path.rpartition("/")[2])
            answer = await desk.http.request(
                method, f"/referrals{real}", json=body, headers=desk.headers(stranger)
            )
            assert (answer.status_code, problem(answer)) == (404, "not-found"), real
            tried += 1
    assert tried >= 7
    assert await desk.told(referral) == before


@pytest.mark.parametrize(
    "link", ["http://127.0.0.1/", "https://127.0.0.1/", "https://2130706433/", "https://db/"]
)
async def test_a_consult_is_held_behind_a_public_link(desk: Desk, link: str) -> None:
    slot = {"starts_at": f"{in_days(3)}T09:00:00+08:00", "minutes": 30, "link": link}
    answer = await desk.post(Who.BREAST, "/departments/breast/slots", slot)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["body.link"]


async def test_another_departments_beds_and_slots_are_not_theirs(desk: Desk) -> None:
    slot = await desk.slot()
    new_slot = {
        "starts_at": f"{in_days(3)}T09:00:00+08:00",
        "minutes": 30,
        "link": "https://consult.example.com/9",
    }
    for method, path, body, status in (
        ("GET", "/departments/breast/beds", None, 403),
        ("PUT", "/departments/breast/beds", {"beds": 5}, 403),
        ("POST", "/departments/breast/slots", new_slot, 403),
        ("GET", "/slots?department=breast", None, 403),
        ("POST", f"/slots/{slot}/withdraw", {"why": "other"}, 404),
    ):
        answer = await desk.http.request(
            method, f"/referrals{path}", json=body, headers=desk.headers(Who.THYROID)
        )
        assert answer.status_code == status, path


async def test_an_emergency_that_was_none_opens_the_record_no_more(desk: Desk) -> None:
    referral = await desk.accepted()
    reason = {"reason": "患者昏迷，须立即查阅病历"}
    grant = (await desk.done(Who.THYROID, f"/referrals/{referral}/break-glass", reason))["id"]
    assert (await desk.get(Who.THYROID, f"/referrals/{referral}/clinical")).status_code == 200
    await desk.done(Who.DATA_OFFICER, f"/emergencies/{grant}/review", {"justified": False})
    assert (await desk.get(Who.THYROID, f"/referrals/{referral}/clinical")).status_code == 404


REASON = {"reason": "患者昏迷，须立即查阅病历"}
PATHS: dict[str, tuple[tuple[Who, str, Any], ...]] = {
    "triaged": (),
    "accepted": ((Who.BREAST, "accept", {}),),
    "on_hold": ((Who.COORDINATOR, "hold", {"why": "patient-asked", "until": in_days(3)}),),
    "not_completed": ((Who.BREAST, "accept", {}), (Who.BREAST, "fail", {"why": "unreachable"})),
    "declined": ((Who.BREAST, "decline", {"why": "out-of-scope"}),),
    "cancelled": ((Who.PATIENT, "cancel", {"why": "patient-asked"}),),
    "entered_in_error": ((Who.COORDINATOR, "enter-in-error", {"why": "duplicate"}),),
}
"""From triage on: who does what, to bring a referral to a state."""


async def test_a_department_knows_nothing_of_a_referral_before_it_is_passed_on(desk: Desk) -> None:
    referral = await desk.asked()
    assert await desk.listed(Who.BREAST, "/queues/department") == []
    for path in ("clinical", "fhir"):
        assert (await desk.get(Who.BREAST, f"/referrals/{referral}/{path}")).status_code == 404
    for who, command, body in (
        (Who.BREAST, "accept", {}),
        (Who.BREAST, "enter-in-error", {"why": "other"}),
        (Who.BREAST, "break-glass", REASON),
        (Who.THYROID, "break-glass", REASON),
    ):
        assert (await desk.post(who, f"/referrals/{referral}/{command}", body)).status_code == 404, command
    await desk.done(Who.COORDINATOR, f"/referrals/{referral}/triage", {"urgency": "routine"})
    assert (await desk.get(Who.BREAST, f"/referrals/{referral}/clinical")).status_code == 200


@pytest.mark.parametrize("state", PATHS)
async def test_what_a_department_reads_follows_the_state_of_the_record(desk: Desk, state: str) -> None:
    referral = await desk.triaged()
    for who, command, body in PATHS[state]:
        await desk.done(who, f"/referrals/{referral}/{command}", body)
    assert await desk.state(referral) == state
    taken_back = state in ("cancelled", "entered_in_error")
    for path in ("clinical", "fhir"):
        answer = await desk.get(Who.BREAST, f"/referrals/{referral}/{path}")
        if taken_back or state == "declined":
            assert (answer.status_code, problem(answer)) == (403, "no-longer-read")
            assert facts(answer)["state"] == state
        else:
            assert answer.status_code == 200
    moved_on = await desk.post(Who.BREAST, f"/referrals/{referral}/admit")
    assert (moved_on.status_code, moved_on.json()["state"]) == (409, state)  # they know where it stands
    broken = await desk.post(Who.THYROID, f"/referrals/{referral}/break-glass", REASON)
    assert broken.status_code == (404 if taken_back else 201)


async def test_the_glass_is_broken_by_clinicians_only_and_does_not_outlive_what_was_taken_back(
    desk: Desk,
) -> None:
    referral = await desk.accepted()
    path = f"/referrals/{referral}"
    for who in (Who.COORDINATOR, Who.DATA_OFFICER, Who.PATIENT):
        assert (await desk.post(who, f"{path}/break-glass", REASON)).status_code == 403
    await desk.done(Who.THYROID, f"{path}/break-glass", REASON)
    assert (await desk.get(Who.THYROID, f"{path}/clinical")).status_code == 200
    await desk.done(Who.PATIENT, f"{path}/cancel", {"why": "patient-asked"})
    assert (await desk.get(Who.THYROID, f"{path}/clinical")).status_code == 404


async def test_a_reader_breaks_the_glass_of_a_record_once_while_that_holds_however_often_they_ask(
    desk: Desk,
) -> None:
    path = f"/referrals/{await desk.accepted()}/break-glass"
    answers = await asyncio.gather(*(desk.post(Who.THYROID, path, REASON) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]
    assert {problem(answer) for answer in answers if answer.status_code == 409} == {"not-needed"}
    [grant] = [answer.json() for answer in answers if answer.status_code == 201]
    assert (grant["by"], grant["role"]) == (Who.THYROID, "clinician")
    [waiting] = await desk.listed(Who.DATA_OFFICER, "/emergencies")
    assert waiting["id"] == grant["id"]
    with moved(timedelta(minutes=61)):
        assert (await desk.post(Who.THYROID, path, REASON)).status_code == 201
