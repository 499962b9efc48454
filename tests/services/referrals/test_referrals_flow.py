"""Each way that a referral can take, from the request to its end."""

from datetime import timedelta

import pytest

from services.referrals.domain.states import REFERRAL, TASK_STATUS, ReferralState
from shared.model.clock import moved
from tests.kit.problems import problem
from tests.services.referrals.desk import OPINION, Desk, Who, a_request, in_days

WHY = {"why": "patient-asked"}


async def test_from_the_request_to_the_ward_and_home(desk: Desk) -> None:
    await desk.beds(1)
    referral = await desk.offered()
    await desk.done(Who.PATIENT, f"/referrals/{referral}/confirm-offer")
    await desk.done(Who.BREAST, f"/referrals/{referral}/admit")
    assert await desk.free_beds() == 0
    view = await desk.done(Who.BREAST, f"/referrals/{referral}/complete", {"opinion": OPINION})
    assert (view["state"], view["queue"], view["legal"]) == ("completed", None, [])
    assert await desk.free_beds() == 1
    assert await desk.told(referral) == [
        "referral.requested",
        "referral.triaged",
        "referral.accepted",
        "referral.bed-offered",
        "referral.offer-confirmed",
        "referral.admitted",
        "referral.completed",
    ]


async def test_who_asks_twice_is_told_which_request_is_open(desk: Desk) -> None:
    ended = await desk.asked()
    await desk.done(Who.PATIENT, f"/referrals/{ended}/cancel", WHY)
    running = await desk.asked()
    again = await desk.post(Who.PATIENT, "/referrals", a_request())
    assert problem(again) == "already-exists"
    assert again.json()["existing"] == running


async def test_from_the_request_to_a_remote_consult(desk: Desk) -> None:
    slot = await desk.slot()
    referral = await desk.booked(slot)
    assert await desk.slot_state(slot) == ("booked", referral)
    early = await desk.post(Who.BREAST, f"/referrals/{referral}/consult", {})
    assert problem(early) == "too-early"
    with moved(timedelta(hours=30)):
        await desk.done(Who.BREAST, f"/referrals/{referral}/consult", {"opinion": OPINION})
        assert await desk.slot_state(slot) == ("used", referral)
        await desk.done(Who.BREAST, f"/referrals/{referral}/complete", {})
    assert (await desk.told(referral))[3:] == [
        "referral.consult-booked",
        "referral.consulted",
        "referral.completed",
    ]


async def test_an_offer_expires_and_the_bed_is_free_for_the_next(desk: Desk) -> None:
    await desk.beds(1)
    first, second = await desk.offered(), await desk.accepted(who=Who.NEIGHBOUR)
    body = {"admission_day": in_days(5)}
    assert problem(await desk.post(Who.BREAST, f"/referrals/{second}/offer-bed", body)) == "no-bed-free"
    with moved(timedelta(hours=23)):
        assert await desk.fall_due() == 0
        assert await desk.state(first) == "bed_offered"
    with moved(timedelta(hours=24)):
        late = await desk.post(Who.PATIENT, f"/referrals/{first}/confirm-offer")
        assert problem(late) in ("offer-expired", "illegal-move")  # before and after the sweep
        await desk.fall_due()
        assert await desk.state(first) == "accepted"
        assert await desk.free_beds() == 1
        await desk.done(Who.BREAST, f"/referrals/{second}/offer-bed", body)
    assert (await desk.told(first)).count("referral.offer-lapsed") == 1


async def test_a_confirmed_bed_is_kept_until_the_day_of_admission_is_over(desk: Desk) -> None:
    await desk.beds(1)
    referral = await desk.offered(days=3)
    await desk.done(Who.COORDINATOR, f"/referrals/{referral}/confirm-offer")  # she said so by phone
    with moved(timedelta(hours=30)):
        assert await desk.fall_due() == 0
    with moved(timedelta(days=4)):
        late = await desk.post(Who.BREAST, f"/referrals/{referral}/admit")
        assert problem(late) in ("offer-expired", "illegal-move")
        await desk.fall_due()
        assert await desk.state(referral) == "accepted"


async def test_she_gives_a_bed_back_and_keeps_her_place(desk: Desk) -> None:
    await desk.beds(1)
    referral = await desk.offered()
    view = await desk.done(Who.PATIENT, f"/referrals/{referral}/return-offer", {"why": "patient-declined"})
    assert (view["state"], view["queue"], view["offer"]) == ("accepted", "department", None)
    assert await desk.free_beds() == 1


async def test_the_department_declines(desk: Desk) -> None:
    referral = await desk.triaged()
    body = {"why": "out-of-scope", "opinion": OPINION}
    view = await desk.done(Who.BREAST, f"/referrals/{referral}/decline", body)
    assert (view["state"], view["queue"]) == ("declined", None)
    again = await desk.post(Who.BREAST, f"/referrals/{referral}/accept", {})
    assert problem(again) == "illegal-move"
    assert (again.json()["state"], again.json()["legal"]) == ("declined", [])


async def test_it_rests_until_a_day_and_comes_back_by_itself(desk: Desk) -> None:
    referral = await desk.accepted()
    body = {"why": "patient-asked", "until": in_days(10)}
    view = await desk.done(Who.COORDINATOR, f"/referrals/{referral}/hold", body)
    assert (view["state"], view["queue"]) == ("on_hold", "coordinator")
    with moved(timedelta(days=8)):
        assert await desk.fall_due() == 0
    with moved(timedelta(days=11)):
        await desk.fall_due()
        assert await desk.state(referral) == "triaged"
    assert (await desk.told(referral))[3:] == ["referral.held", "referral.resumed"]
    again = {"why": "patient-asked", "until": in_days(100)}
    assert (await desk.post(Who.COORDINATOR, f"/referrals/{referral}/hold", again)).status_code == 422


@pytest.mark.parametrize(
    ("move", "who", "state"),
    [("cancel", Who.PATIENT, "cancelled"), ("fail", Who.COORDINATOR, "not_completed"),
     ("enter-in-error", Who.COORDINATOR, "entered_in_error")],
)  # fmt: skip
async def test_whatever_ends_it_gives_back_what_was_kept_for_her(
    desk: Desk, move: str, who: Who, state: str
) -> None:
    await desk.beds(1)
    slot = await desk.slot()
    with_bed, with_slot = await desk.offered(), None
    await desk.done(who, f"/referrals/{with_bed}/{move}", WHY)
    assert (await desk.state(with_bed), await desk.free_beds()) == (state, 1)
    with_slot = await desk.booked(slot)
    await desk.done(who, f"/referrals/{with_slot}/{move}", WHY)
    assert (await desk.state(with_slot), await desk.slot_state(slot)) == (state, ("open", ""))


async def test_a_consult_moves_to_another_slot_in_one_step(desk: Desk) -> None:
    first, second, third = await desk.slot(), await desk.slot(hours=40), await desk.slot(hours=50)
    referral, other = await desk.booked(first), await desk.booked(third, Who.NEIGHBOUR)
    taken = await desk.post(Who.COORDINATOR, f"/referrals/{referral}/reschedule", {"slot_id": third})
    assert problem(taken) == "slot-taken"
    assert await desk.slot_state(first) == ("booked", referral)  # nothing was lost over it
    await desk.done(Who.BREAST, f"/referrals/{referral}/reschedule", {"slot_id": second})
    assert await desk.slot_state(first) == ("open", "")
    assert await desk.slot_state(second) == ("booked", referral)
    assert await desk.slot_state(third) == ("booked", other)
    assert (await desk.told(referral))[-1] == "referral.consult-rescheduled"


async def test_a_slot_that_is_withdrawn_sends_the_patient_back_into_the_queue(desk: Desk) -> None:
    slot = await desk.slot()
    referral = await desk.booked(slot)
    foreign = await desk.post(Who.THYROID, f"/slots/{slot}/withdraw", {"why": "department-unavailable"})
    assert foreign.status_code == 404
    await desk.done(Who.BREAST, f"/slots/{slot}/withdraw", {"why": "department-unavailable"})
    assert (await desk.state(referral), await desk.slot_state(slot)) == ("accepted", ("withdrawn", ""))


async def test_a_slot_nobody_booked_passes_and_a_late_one_cannot_be_booked(desk: Desk) -> None:
    slot, referral = await desk.slot(), await desk.accepted()
    with moved(timedelta(hours=31)):
        late = await desk.post(Who.COORDINATOR, f"/referrals/{referral}/book-consult", {"slot_id": slot})
        assert problem(late) in ("too-late", "illegal-move")
        await desk.fall_due()
    assert await desk.slot_state(slot) == ("passed", "")


async def test_a_slot_of_another_department_cannot_be_booked(desk: Desk) -> None:
    slot, referral = await desk.slot(Who.THYROID), await desk.accepted()
    answer = await desk.post(Who.COORDINATOR, f"/referrals/{referral}/book-consult", {"slot_id": slot})
    assert problem(answer) == "other-department"


async def test_the_queue_stands_urgent_first_then_by_the_longest_delay(desk: Desk) -> None:
    facts = [
        ("routine", "2020-02-01"),
        ("urgent", "2020-03-01"),
        ("urgent", "2020-02-15"),
        ("routine", "2020-01-20"),
    ]
    ids = [
        await desk.accepted(urgency, f"p{number}", delayed_since=since)
        for number, (urgency, since) in enumerate(facts)
    ]
    queue = await desk.listed(Who.BREAST, "/queues/department", state="accepted")
    assert [item["id"] for item in queue] == [ids[2], ids[1], ids[3], ids[0]]
    assert await desk.listed(Who.THYROID, "/queues/department") == []


async def test_a_repeated_command_has_one_effect_and_one_answer(desk: Desk) -> None:
    await desk.beds(2)
    referral = await desk.accepted()
    body, key = {"admission_day": in_days(5)}, {"Idempotency-Key": "offer-1"}
    first = await desk.post(Who.BREAST, f"/referrals/{referral}/offer-bed", body, **key)
    again = await desk.post(Who.BREAST, f"/referrals/{referral}/offer-bed", body, **key)
    assert first.status_code == 200, first.text
    assert (again.status_code, again.json()) == (200, first.json())
    assert await desk.free_beds() == 1


async def test_a_stale_version_is_refused(desk: Desk) -> None:
    referral = await desk.asked()
    headers = {"If-Match": '"7"'}
    body = {"urgency": "urgent"}
    answer = await desk.post(Who.COORDINATOR, f"/referrals/{referral}/triage", body, **headers)
    assert (answer.status_code, problem(answer)) == (412, "stale-version")


async def test_one_patient_asks_one_department_once_at_a_time(desk: Desk) -> None:
    first = await desk.asked()
    assert (await desk.post(Who.PATIENT, "/referrals", a_request())).status_code == 409
    await desk.asked(department="head-neck-thyroid")
    await desk.done(Who.PATIENT, f"/referrals/{first}/cancel", WHY)
    await desk.asked()


@pytest.mark.parametrize(
    "wrong",
    [{"health_consent": False}, {"hospital_consent": False}, {"delayed_since": "2999-01-01"},
     {"department": "cardiology"}, {"county": "330800"}, {"phone": "12345"}],
)  # fmt: skip
async def test_without_both_consents_or_for_another_department_nothing_is_kept(
    desk: Desk, wrong: dict[str, object]
) -> None:
    answer = await desk.post(Who.PATIENT, "/referrals", a_request(**wrong))
    assert answer.status_code == 422
    assert await desk.store.database["referrals"].count_documents({}) == 0


def test_every_state_has_one_queue_or_is_an_end_and_one_fhir_status() -> None:
    assert set(REFERRAL.queues) | REFERRAL.terminal == set(ReferralState) == set(TASK_STATUS)
    assert not set(REFERRAL.queues) & REFERRAL.terminal


async def test_every_role_is_shown_what_waits_for_it(desk: Desk) -> None:
    referral = await desk.asked()

    async def waiting(who: Who) -> list[tuple[str, str]]:
        page = await desk.seen(who, "/work")
        return [(item["id"], item["queue"]) for item in page["items"] if item["kind"] == "referrals"]

    staff = (Who.COORDINATOR, Who.BREAST, Who.THYROID)
    assert [await waiting(who) for who in staff] == [[(referral, "coordinator")], [], []]
    await desk.done(Who.COORDINATOR, f"/referrals/{referral}/triage", {"urgency": "routine"})
    assert [await waiting(who) for who in staff] == [[], [(referral, "department")], []]
    assert await waiting(Who.PATIENT) == []
