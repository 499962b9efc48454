"""Beds, slots and moves under generated interleavings: two replicas, callers that give up, time that passes.

Whatever is sent at once, and whoever sweeps meanwhile: no bed and no slot is anybody's but one patient's,
none is lost, every open referral stands in one queue, and every change has its event.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from services.referrals import queries
from services.referrals.domain.referral import QUEUE_ORDER, Referral, queue_key
from services.referrals.domain.slot import SLOT, Slot, SlotState
from services.referrals.domain.states import COORDINATOR, DEPARTMENT, REFERRAL, ReferralState
from services.referrals.domain.ward import Ward
from shared.model.clock import moved
from shared.store.store import Store
from tests.kit.issuing import Issuing
from tests.services.referrals.desk import Who, in_days
from tests.services.referrals.replicas import Replicas

S = ReferralState
WHY = {"why": "other"}
_patients = count(1)


class Try(NamedTuple):
    """A command to be tried; picks choose the referral, the slot and the number of beds."""

    command: str
    pick: int
    slot: int
    replica: int
    after: int
    gives_up: int | None


USUAL = ("offer-bed", "offer-bed", "offer-bed", "book-consult", "book-consult", "reschedule", "reschedule")
RARE = ("confirm-offer", "return-offer", "admit", "complete", "release-consult", "consult", "hold", "resume")
ENDS = ("cancel", "fail", "enter-in-error", "accept", "beds", "withdraw", "sweep", "sweep", "slot")
tries = st.lists(
    st.builds(
        Try,
        st.sampled_from((*USUAL, *RARE, *ENDS)),
        st.integers(0, 99),
        st.integers(0, 99),
        st.integers(0, 1),
        st.integers(0, 6),
        st.sampled_from((*[None] * 9, 3, 8)),
    ),
    min_size=6,
    max_size=16,
)


class Channel(RuleBasedStateMachine):
    """`beds`: how many there are at most since the step began."""

    town: ClassVar[Replicas]

    @initialize(beds=st.integers(1, 3))
    def the_channel_opens(self, beds: int) -> None:
        self.time = ExitStack()
        self.beds = self.most = beds
        self.town.run(self.begin(beds))

    async def begin(self, beds: int) -> None:
        desk = self.town.all[0]
        for model in desk.store.models:
            await desk.store.collection(model).delete_many({})
        await desk.beds(beds)
        self.slots = [await desk.slot(hours=hours) for hours in (5, 30, 60)]
        self.ids = [await self.come(urgency) for urgency in ("routine", "urgent", "routine", "routine")]

    async def come(self, urgency: str) -> str:
        number = next(_patients)
        since = f"2020-02-{1 + number * 7 % 28:02}"
        return await self.town.all[number % 2].accepted(urgency, f"patient-{number}", delayed_since=since)

    @rule(tries=tries, comes=st.booleans())
    def much_happens_at_once(self, tries: list[Try], comes: bool) -> None:
        if comes:
            self.ids.append(self.town.run(self.come("routine")))
        before = self.town.run(self.histories())
        known = set(self.town.run(self.taken()))
        answers = self.town.run(self.together(tries))
        after = self.town.run(self.histories())
        told = Counter[str]()
        for tried, answer in zip(tries, answers, strict=True):
            assert answer is None or answer.status_code < 500, answer.text
            if answer is not None and answer.is_success and tried.command not in ("beds", "withdraw", "slot"):
                told[answer.json()["id"]] += 1
        for referral, made in told.items():  # whoever was told so was right; sweeps and lost answers add
            assert len(after[referral]) >= len(before[referral]) + made
            assert after[referral][: len(before[referral])] == before[referral]
        new = set(self.town.run(self.taken())) - known
        assert all(1 <= bed <= self.most for _, bed in new), (new, self.most)
        self.most = self.beds

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        self.time.enter_context(moved(timedelta(hours=hours)))

    async def together(self, tries: list[Try]) -> list[httpx.Response | None]:
        return list(await asyncio.gather(*(self.sent(tried) for tried in tries)))

    async def sent(self, tried: Try) -> httpx.Response | None:
        await asyncio.sleep(tried.after / 1000)
        try:
            async with asyncio.timeout(None if tried.gives_up is None else tried.gives_up / 1000):
                return await self.one(tried)
        except TimeoutError:
            return None

    async def one(self, tried: Try) -> httpx.Response | None:
        desk, slot = self.town.all[tried.replica], self.slots[tried.slot % len(self.slots)]
        if tried.command == "sweep":
            await desk.fall_due()
            return None
        if tried.command == "slot":
            self.slots.append(await desk.slot(hours=20))
            return None
        if tried.command == "withdraw":
            return await desk.post(Who.BREAST, f"/slots/{slot}/withdraw", WHY)
        if tried.command == "beds":
            self.beds = tried.pick % 4
            self.most = max(self.most, self.beds)
            headers = desk.headers(Who.BREAST)
            path = "/referrals/departments/breast/beds"
            return await desk.http.put(path, json={"beds": self.beds}, headers=headers)
        body: dict[str, Any] | None = {
            "offer-bed": {"admission_day": in_days(1)},
            "book-consult": {"slot_id": slot},
            "reschedule": {"slot_id": slot},
            "hold": WHY | {"until": in_days(2)},
            "confirm-offer": None,
            "admit": None,
            "resume": None,
            "complete": {},
            "consult": {},
            "accept": {},
        }.get(tried.command, WHY)
        who = Who.COORDINATOR if tried.command in ("confirm-offer", "cancel") else Who.BREAST
        referral = self.ids[tried.pick % len(self.ids)]
        return await desk.post(who, f"/referrals/{referral}/{tried.command}", body)

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    @property
    def store(self) -> Store:
        return self.town.all[0].store

    async def referrals(self) -> list[Referral]:
        return await self.store.select(Referral, {}, limit=1000)

    async def histories(self) -> dict[str, list[str]]:
        return {r.id: [step.move for step in r.history] for r in await self.referrals()}

    async def taken(self) -> list[tuple[str, int]]:
        return [(r.id, r.bed) for r in await self.referrals() if r.bed]

    @invariant()
    def no_bed_and_no_slot_has_two_patients_and_none_is_lost(self) -> None:
        referrals = self.town.run(self.referrals())
        beds = [referral.bed for referral in referrals if referral.bed]
        assert len(set(beds)) == len(beds)
        assert all((r.state in (S.BED_OFFERED, S.ADMITTED)) == (r.bed > 0) for r in referrals)
        assert all((r.state is S.CONSULT_BOOKED) == (r.slot_id != "") for r in referrals)
        slots = self.town.run(self.store.select(Slot, {}, limit=1000))
        booked = {slot.id: slot.referral_id for slot in slots if slot.state is SlotState.BOOKED}
        assert booked == {r.slot_id: r.id for r in referrals if r.slot_id}
        assert len(set(booked.values())) == len(booked)
        assert all(slot.referral_id == "" for slot in slots if slot.state is SlotState.OPEN)
        assert all((slot.deadline is not None) == (slot.state is SlotState.OPEN) for slot in slots)

    @invariant()
    def every_offer_was_made_against_the_number_of_beds_of_its_instant(self) -> None:
        ward = self.town.run(self.store.load(Ward, "breast"))
        offers = sum(h.count("offer_bed") for h in self.town.run(self.histories()).values())
        assert ward.version == len(ward._stored["outbox"]) + offers  # none passed a change of the number

    @invariant()
    def every_history_is_legal_and_every_change_has_its_event(self) -> None:
        for model, workflow in ((Referral, REFERRAL), (Slot, SLOT)):
            rows = self.town.run(self.store.select(model, {}, limit=1000))  # type: ignore[type-abstract]
            for document in rows:
                steps: Any = document.history  # type: ignore[attr-defined]
                assert [step.source for step in steps][1:] == [step.target for step in steps][:-1]
                assert all(step.source in workflow.moves[step.move].sources for step in steps)
                assert len(document._stored["outbox"]) == 1 + len(steps)

    @invariant()
    def every_open_referral_stands_in_one_queue_in_triage_order(self) -> None:
        standing = []
        for role in (COORDINATOR, DEPARTMENT):
            where = queries.queue_of(role, None)
            queue = self.town.run(self.store.select(Referral, where, sort=QUEUE_ORDER, limit=1000))
            assert queue == sorted(queue, key=queue_key)
            standing += [referral.id for referral in queue]
        open_ = [r.id for r in self.town.run(self.referrals()) if r.state not in REFERRAL.terminal]
        assert sorted(standing) == sorted(open_)
        assert all(r.open == (r.id in open_) for r in self.town.run(self.referrals()))

    def teardown(self) -> None:
        self.time.close()


@pytest.fixture
def replicas(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> Iterator[Replicas]:
    town = Replicas(mongodb_uri, tmp_path, issuer)
    town.run(town.open())
    yield town
    town.run(town.close())
    town.ended()


def test_no_slot_and_no_bed_is_ever_given_twice_whatever_is_interleaved(replicas: Replicas) -> None:
    Channel.town = replicas
    bounded = settings(
        max_examples=6,
        stateful_step_count=8,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Channel, settings=bounded)


def test_one_bed_and_one_slot_wanted_by_everybody_at_once_go_to_one_each(replicas: Replicas) -> None:
    async def everybody() -> None:
        here, there = replicas.all
        await here.beds(1)
        slot = await here.slot()
        ids = [await here.accepted(who=f"rush-{number}") for number in range(12)]
        body = {"admission_day": in_days(3)}
        wards = (
            desk.post(Who.BREAST, f"/referrals/{referral}/offer-bed", body)
            for desk, referral in zip([here, there] * 3, ids[:6], strict=True)
        )
        consults = (
            desk.post(Who.BREAST, f"/referrals/{referral}/book-consult", {"slot_id": slot})
            for desk, referral in zip([here, there] * 3, ids[6:], strict=True)
        )
        answers = await asyncio.gather(*wards, *consults)
        assert [answer.status_code for answer in answers[:6]].count(200) == 1
        assert [answer.status_code for answer in answers[6:]].count(200) == 1
        assert {answer.status_code for answer in answers} == {200, 409}

    replicas.run(everybody())
