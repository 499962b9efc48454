"""The rules by themselves: the order of the queue, and that every move is told."""

import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.referrals.domain.referral import FIRST_DELAY, HERSELF, Referral, queue_key
from services.referrals.domain.states import REFERRAL, ReferralState, Urgency, Why
from shared.city.departments import Department
from shared.contracts.referrals import ENDED, RUNNING, Step
from shared.model.problems import Full, InvalidRequest
from shared.model.roles import Role
from shared.model.workflow import MOST_STEPS, Actor, IllegalMove

NOW = datetime(2020, 3, 8, 4, tzinfo=UTC)
TODAY = date(2020, 3, 8)
DESK, WARD = Actor("c", Role.COORDINATOR), Actor("d", Role.CLINICIAN)


def a_referral(delayed_since: date = TODAY, asked: datetime = NOW, **facts: object) -> Referral:
    return Referral.requested(
        HERSELF,
        asked,
        patient="p",
        department=Department.BREAST,
        division="330802",
        delayed_since=delayed_since,
        **facts,
    )


waiting = st.builds(
    lambda urgency, days, minutes: a_referral(
        TODAY - timedelta(days=days), NOW + timedelta(minutes=minutes), urgency=urgency
    ),
    st.sampled_from(Urgency),
    st.integers(0, 40),
    st.integers(0, 5),
)


@given(queue=st.lists(waiting, max_size=12), seed=st.integers(0, 99))
@settings(max_examples=100, derandomize=True, database=None, deadline=None)
def test_the_order_is_a_function_of_the_facts_and_not_of_how_they_came(
    queue: list[Referral], seed: int
) -> None:
    ordered = sorted(queue, key=queue_key)
    random.Random(seed).shuffle(queue)
    assert sorted(queue, key=queue_key) == ordered
    for before, after in pairwise(ordered):
        assert (before.urgency, after.urgency) != (Urgency.ROUTINE, Urgency.URGENT)
        if before.urgency is after.urgency:
            assert before.delayed_since <= after.delayed_since


DO = {
    "triage": lambda r: r.triage(Urgency.URGENT, NOW, DESK),
    "accept": lambda r: r.accept(None, None, NOW, WARD),
    "decline": lambda r: r.decline(Why.OUT_OF_SCOPE, None, NOW, WARD),
    "offer_bed": lambda r: r.offer_bed(1, TODAY + timedelta(days=2), NOW, WARD),
    "confirm_offer": lambda r: r.confirm_offer(NOW, HERSELF),
    "return_offer": lambda r: r.return_offer(Why.PATIENT_DECLINED, NOW, HERSELF),
    "lapse": lambda r: r.lapse(NOW),
    "admit": lambda r: r.admit(NOW, WARD),
    "book_consult": lambda r: r.book_consult("slot", NOW, NOW, DESK),
    "reschedule": lambda r: r.reschedule("other", NOW, NOW, DESK),
    "release_consult": lambda r: r.release_consult(Why.OTHER, NOW, DESK),
    "consult": lambda r: r.consult(None, NOW, WARD),
    "complete": lambda r: r.complete(None, NOW, WARD),
    "fail": lambda r: r.fail(Why.UNREACHABLE, NOW, DESK),
    "hold": lambda r: r.hold(Why.PATIENT_ASKED, TODAY + timedelta(days=3), NOW, DESK),
    "resume": lambda r: r.resume(NOW, DESK),
    "cancel": lambda r: r.cancel(Why.PATIENT_ASKED, NOW, HERSELF),
    "enter_in_error": lambda r: r.enter_in_error(Why.DUPLICATE, NOW, DESK),
}


@given(moves=st.lists(st.sampled_from(sorted(DO)), max_size=14))
@settings(max_examples=300, derandomize=True, database=None, deadline=None)
def test_whatever_is_tried_only_legal_moves_are_made_and_each_is_told(moves: list[str]) -> None:
    referral = a_referral()
    for move in moves:
        before, told = referral.clone(), len(referral.recorded)
        if move in REFERRAL.legal(before.state):
            DO[move](referral)
            event = referral.recorded[-1]
            assert isinstance(event, Step) and len(referral.recorded) == told + 1
            assert (event.was, event.state) == (before.state, referral.state)
        else:
            with pytest.raises(IllegalMove):
                DO[move](referral)
            assert referral == before
        assert (referral.bed > 0) == (referral.state in (ReferralState.BED_OFFERED, ReferralState.ADMITTED))
        assert (referral.slot_id != "") == (referral.state is ReferralState.CONSULT_BOOKED)
        due = (ReferralState.BED_OFFERED, ReferralState.ON_HOLD)
        assert (referral.deadline is not None) == (referral.state in due)


def test_every_move_is_tried_here() -> None:
    assert set(DO) == set(REFERRAL.moves)


def test_waiting_is_counted_once_from_the_request_to_the_first_place() -> None:
    referral = a_referral(date(2020, 2, 1), NOW - timedelta(days=9))
    for move in ("triage", "accept", "offer_bed", "lapse", "offer_bed"):
        DO[move](referral)
    waited = [event.waited_days for event in referral.recorded if hasattr(event, "waited_days")]
    assert waited == [9, None]


@pytest.mark.parametrize("since", [FIRST_DELAY - timedelta(days=1), TODAY + timedelta(days=1)])
def test_a_delay_lies_between_the_epidemic_and_today(since: date) -> None:
    with pytest.raises(InvalidRequest):
        a_referral(since)


def test_others_are_told_which_states_run_and_which_have_ended() -> None:
    assert set(RUNNING) == set(REFERRAL.queues)
    assert set(ENDED) == REFERRAL.terminal


def test_a_history_that_is_full_leaves_what_ends_it_and_what_gives_back() -> None:
    referral = a_referral()
    referral.triage(Urgency.ROUTINE, NOW, DESK)
    while len(referral.history) < MOST_STEPS:
        referral.accept(None, None, NOW, WARD)
        if len(referral.history) < MOST_STEPS:
            referral.hold(Why.OTHER, TODAY + timedelta(days=1), NOW, DESK)
            referral.resume(NOW, DESK)
    with pytest.raises(Full) as refused:
        referral.offer_bed(1, TODAY, NOW, WARD)
    assert (refused.value.status, refused.value.facts) == (409, {"what": "history", "most": MOST_STEPS})
    assert (referral.state, referral.bed) == (ReferralState.ACCEPTED, 0)
    referral.check_bounds()
    referral.forget(NOW, HERSELF)
    assert (referral.state, referral.patient_key) == (ReferralState.CANCELLED, "")
    referral.check_bounds()


def test_a_bed_is_given_back_with_a_full_history_too() -> None:
    referral = a_referral()
    referral.triage(Urgency.ROUTINE, NOW, DESK)
    referral.accept(None, None, NOW, WARD)
    referral.offer_bed(1, TODAY, NOW, WARD)
    referral.history = [*referral.history, *referral.history * MOST_STEPS][:MOST_STEPS]
    referral.return_offer(Why.PATIENT_ASKED, NOW, DESK)
    assert (referral.state, referral.bed) == (ReferralState.ACCEPTED, 0)
    referral.check_bounds()
