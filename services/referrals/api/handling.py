"""One command on one referral: load what the caller reaches, apply a rule, commit, answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import Depends, Response

from services.referrals import changes
from services.referrals.domain.referral import PATIENT, Referral
from shared.http.access import Caller
from shared.http.parameters import IfMatch, StoreDep
from shared.http.views import tagged
from shared.model.clock import now
from shared.model.workflow import Actor
from shared.store.store import Store

from .callers import reached, reached_slot
from .views import StepView

Rule = Callable[[Referral, datetime, Actor], object]
"""A rule of the referral, given the instant and who acts."""


@dataclass
class Handling:
    """What a route needs for it."""

    referral_id: str
    store: Store
    response: Response
    if_match: str | None

    async def change(self, caller: Caller, rule: Rule, *, opened: bool = False) -> StepView:
        """Apply a rule. `opened`: it writes a personal field, and the others are to stay."""
        by = _actor(caller)

        def apply(referral: Referral) -> None:
            rule(referral, now(), by)

        load = self._load(caller, opened)
        return tagged(self.response, await changes.change(self.store, load, apply, by, StepView.of))

    async def offer_bed(self, caller: Caller, admission_day: date) -> StepView:
        """Offer the lowest free bed."""
        load, by = self._load(caller), _actor(caller)
        return tagged(
            self.response, await changes.offer_bed(self.store, load, admission_day, by, StepView.of)
        )

    async def book(self, caller: Caller, slot_id: str) -> StepView:
        """Book a consult slot, one that the caller has to do with too."""
        await reached_slot(self.store, caller, slot_id)
        load, by = self._load(caller), _actor(caller)
        return tagged(self.response, await changes.book_consult(self.store, load, slot_id, by, StepView.of))

    async def reschedule(self, caller: Caller, slot_id: str) -> StepView:
        """Move to another slot."""
        await reached_slot(self.store, caller, slot_id)
        load, by = self._load(caller), _actor(caller)
        return tagged(self.response, await changes.reschedule(self.store, load, slot_id, by, StepView.of))

    async def consult(self, caller: Caller, opinion: str | None) -> StepView:
        """The consult took place."""
        load, by = self._load(caller, opened=opinion is not None), _actor(caller)
        return tagged(self.response, await changes.consult(self.store, load, opinion, by, StepView.of))

    def _load(self, caller: Caller, opened: bool = False) -> Callable[[], Awaitable[Referral]]:
        async def load() -> Referral:
            referral = await reached(self.store, caller, self.referral_id, self.if_match)
            if opened:
                await self.store.unseal(referral)
            return referral

        return load


def _actor(caller: Caller) -> Actor:
    return Actor.of(caller, PATIENT)


async def _handling(
    referral_id: str, store: StoreDep, response: Response, if_match: IfMatch = None
) -> Handling:
    return Handling(referral_id, store, response, if_match)


At = Annotated[Handling, Depends(_handling)]
"""`at: At` in a route under `/referrals/{referral_id}`."""
