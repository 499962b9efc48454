"""One command on one referral: load what the caller reaches, apply a rule, commit, answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import Depends

from services.referrals import changes
from services.referrals.domain.referral import PATIENT, Referral
from services.referrals.domain.slot import Slot
from shared.http.access import Caller
from shared.http.change import Change, Changing, reached
from shared.model.clock import now
from shared.model.workflow import Actor

from .views import StepView

Rule = Callable[[Referral, datetime, Actor], object]
"""A rule of the referral, given the instant and who acts."""


@dataclass
class Handling:
    """What a route needs for it."""

    referral_id: str
    one: Changing

    async def change(self, caller: Caller, rule: Rule, *, opened: bool = False) -> StepView:
        """Apply a rule. `opened`: it writes a personal field, and the others are to stay."""
        by = _actor(caller)

        def apply(referral: Referral) -> None:
            rule(referral, now(), by)

        return await changes.change(self.one.store, self._load(opened), apply, by, StepView.of)

    async def offer_bed(self, caller: Caller, admission_day: date) -> StepView:
        """Offer the lowest free bed."""
        return await changes.offer_bed(
            self.one.store, self._load(), admission_day, _actor(caller), StepView.of
        )

    async def book(self, caller: Caller, slot_id: str) -> StepView:
        """Book a consult slot, one that the caller has to do with too."""
        await reached(self.one.store, caller, Slot, slot_id)
        return await changes.book_consult(self.one.store, self._load(), slot_id, _actor(caller), StepView.of)

    async def reschedule(self, caller: Caller, slot_id: str) -> StepView:
        """Move to another slot."""
        await reached(self.one.store, caller, Slot, slot_id)
        return await changes.reschedule(self.one.store, self._load(), slot_id, _actor(caller), StepView.of)

    async def consult(self, caller: Caller, opinion: str | None) -> StepView:
        """The consult took place."""
        load = self._load(opened=opinion is not None)
        return await changes.consult(self.one.store, load, opinion, _actor(caller), StepView.of)

    def _load(self, opened: bool = False) -> Callable[[], Awaitable[Referral]]:
        async def load() -> Referral:
            referral = await self.one.load(Referral, self.referral_id)
            if opened:
                await self.one.store.unseal(referral)
            return referral

        return load


def _actor(caller: Caller) -> Actor:
    return Actor.of(caller, PATIENT)


async def _handling(referral_id: str, change: Change) -> Handling:
    return Handling(referral_id, change)


At = Annotated[Handling, Depends(_handling)]
"""`at: At` in a route under `/referrals/{referral_id}`."""
