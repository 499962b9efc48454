"""One command on one referral: load what the caller reaches, apply a rule, commit, answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import Depends, Response

from services.referrals import changes
from services.referrals.domain.referral import Referral
from shared.access import Caller, Role
from shared.clock import now
from shared.service import IfMatch, StoreDep
from shared.store.store import Store
from shared.views import tagged

from .callers import actor, reached
from .views import StepView

Rule = Callable[[Referral, datetime, str], object]
"""A rule of the referral, given the instant and who acts."""
PATIENT, COORDINATOR, CLINICIAN = (
    frozenset({role}) for role in (Role.RESIDENT, Role.COORDINATOR, Role.CLINICIAN)
)


@dataclass
class Handling:
    """What a route needs for it. `as_`: the roles in which the caller may reach the referral here."""

    referral_id: str
    store: Store
    response: Response
    if_match: str | None

    async def change(
        self, caller: Caller, as_: frozenset[Role], rule: Rule, *, opened: bool = False
    ) -> StepView:
        """Apply a rule. `opened`: it writes a personal field, and the others are to stay."""

        def apply(referral: Referral, by: str) -> None:
            rule(referral, now(), by)

        load, who = self._load(caller, as_, opened), self._who(caller)
        return tagged(self.response, await changes.change(self.store, load, apply, who, StepView.of))

    async def offer_bed(self, caller: Caller, admission_day: date) -> StepView:
        """Offer the lowest free bed."""
        load, who = self._load(caller, CLINICIAN), self._who(caller)
        view = await changes.offer_bed(self.store, load, admission_day, who, StepView.of)
        return tagged(self.response, view)

    async def book(self, caller: Caller, slot_id: str) -> StepView:
        """Book a consult slot."""
        load, who = self._load(caller, COORDINATOR | CLINICIAN), self._who(caller)
        view = await changes.book_consult(self.store, load, slot_id, who, StepView.of)
        return tagged(self.response, view)

    async def reschedule(self, caller: Caller, slot_id: str) -> StepView:
        """Move to another slot."""
        load, who = self._load(caller, COORDINATOR | CLINICIAN), self._who(caller)
        view = await changes.reschedule(self.store, load, slot_id, who, StepView.of)
        return tagged(self.response, view)

    async def consult(self, caller: Caller, opinion: str | None) -> StepView:
        """The consult took place."""
        load, who = self._load(caller, CLINICIAN, opened=opinion is not None), self._who(caller)
        return tagged(self.response, await changes.consult(self.store, load, opinion, who, StepView.of))

    def _who(self, caller: Caller) -> changes.Who:
        return lambda referral: actor(self.store, caller, referral)

    def _load(
        self, caller: Caller, as_: frozenset[Role], opened: bool = False
    ) -> Callable[[], Awaitable[Referral]]:
        async def load() -> Referral:
            referral = await reached(self.store, caller, as_, self.referral_id, self.if_match)
            if opened:
                await self.store.unseal(referral)
            return referral

        return load


async def _handling(
    referral_id: str, store: StoreDep, response: Response, if_match: IfMatch = None
) -> Handling:
    return Handling(referral_id, store, response, if_match)


At = Annotated[Handling, Depends(_handling)]
"""`at: At` in a route under `/referrals/{referral_id}`."""
