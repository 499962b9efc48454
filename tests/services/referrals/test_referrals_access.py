"""Whose record it is not does not learn that there is one: every route that takes an id, with a real one."""

from typing import Any

import pytest
from referrals_desk import Desk, Who, in_days, problem

from jinguo.access import routes
from shared.identity import Role

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
