"""A referral: from a patient's request to a bed or a consult, and to its end."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Self

from pydantic import BaseModel

from shared.city.days import day_bounds, local_day
from shared.city.departments import Department
from shared.contracts import referrals as events
from shared.model.claims import AlreadyClaimed
from shared.model.documents import Day, Index, Publishes
from shared.model.events import EventClass
from shared.model.known import ByAccount
from shared.model.personal import Personal, PersonId
from shared.model.problems import Erased, InvalidRequest, Problem
from shared.model.roles import Caller, Role
from shared.model.stateful import Stateful
from shared.model.tallies import Tally
from shared.model.workflow import Actor, Transition, Workflow

from .counting import TALLIES
from .departments import DEPARTMENTS
from .states import READ_BY_DEPARTMENT, REFERRAL, TAKEN_BACK, ReferralState, Urgency, Why

PATIENT = "patient"
"""Who acts, in the history: a patient's own id is personal and is not written there."""
HERSELF, SYSTEM = Actor(PATIENT, Role.RESIDENT), Actor("system")
CLAIMED = "claim"
"""What the history calls it; the state stays what it is."""
LONGEST_HOLD = timedelta(days=90)
FIRST_DELAY = date(2019, 12, 1)
"""Before there was an epidemic it delayed nobody."""
QUEUE_ORDER = (("urgency", -1), ("delayed_since", 1), ("requested_at", 1), ("_id", 1))
"""Triage order: urgent before routine; within a class the longest delay first, then who asked first."""


class OfferExpired(Problem):
    """The bed was kept until `expires_at`, and is offered to somebody else now."""

    status, type, title, title_en = 409, "offer-expired", "床位邀约已过期", "The offer has expired"


class Consent(BaseModel):
    """Two consents, asked for separately (PIPL, articles 23 and 29)."""

    health_at: datetime
    """Her health data may be used for this referral."""
    hospital_at: datetime
    """They may be given to the department."""
    by: str
    """`patient`, or the id of the coordinator to whom she gave them by phone."""
    role: Role | None = None


class BedOffer(BaseModel):
    """A bed that is kept for the patient."""

    admission_day: Day
    expires_at: datetime
    confirmed: bool = False


BY_ACCOUNT = ByAccount("patient_key", namespace="patient")
"""The account alone: a phone is given to somebody else one day."""


class Referral(Stateful):
    """Name, phone and everything clinical is sealed. What is stored in clear says nothing about her health
    but the department.

    `bed` and `slot_id` are what is taken for her: they are set and cleared in the same write as the state,
    so that a bed that is given back is free at once. `deadline` is when the offer expires, or the rest ends.
    """

    collection: ClassVar[str] = "referrals"
    person_field: ClassVar[str | None] = "patient"
    known_by = (BY_ACCOUNT,)
    publishes: ClassVar[Publishes] = dict.fromkeys(events.STEPS, ("was", "day")) | {
        events.ReferralRequested: ("account", "day"),
        events.ReferralBedOffered: ("was", "day", "waited_days", "expires_at"),
        events.ReferralOfferConfirmed: ("was", "day", "expires_at"),
        events.ReferralConsultBooked: ("was", "day", "waited_days", "starts_at"),
        events.ReferralConsultRescheduled: ("was", "day", "starts_at"),
        events.PatientClaimed: ("account", "day"),
        events.PatientErased: ("day",),
    }
    flow: ClassVar[Workflow] = REFERRAL
    former_indexes: ClassVar[Sequence[str]] = ("own",)
    indexes: ClassVar[Sequence[Index]] = (
        Index("queue", [("department", 1), ("state", 1), *QUEUE_ORDER]),
        Index("waiting", [("state", 1), *QUEUE_ORDER]),
        Index("beds", [("department", 1), ("bed", 1)], unique=True, where={"bed": {"$gt": 0}}),
        Index(
            "open",
            [("patient_key", 1), ("department", 1)],
            unique=True,
            where={"open": True, "patient_key": {"$gt": ""}},
            tells=True,  # her own, or one that the coordinator sees anyway
        ),
        Index("hers", [("patient_key", 1), ("requested_at", -1), ("_id", -1)]),
    )
    tallies: ClassVar[Sequence[Tally]] = TALLIES

    patient: PersonId
    patient_key: str = ""
    """The keyed hash of her account's id: how she finds her referrals. Until she has claimed what the
    coordinator wrote down for her, that of the phone, which finds nothing and only tells one request from
    another. Empty once she was erased."""
    name: Personal[str] = None
    phone: Personal[str] = None
    summary: Personal[str] = None
    """What she, or the coordinator for her, writes about her illness: for the department only."""
    opinion: Personal[str] = None
    """What the department writes about it."""
    department: Department
    division: str
    """The county's code."""
    delayed_since: Day
    consent: Consent
    requested_at: datetime
    urgency: Urgency = Urgency.ROUTINE
    state: ReferralState = ReferralState.REQUESTED
    open: bool = True
    bed: int = 0
    slot_id: str = ""
    offer: BedOffer | None = None
    deadline: datetime | None = None
    placed_at: datetime | None = None
    """When she first had a bed or a consult: the end of her waiting."""

    # ── in ───────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def requested(cls, by: Actor, now: datetime, account: str | None = None, **given: Any) -> Self:
        """A new referral, with both consents given now; `account`: what others know hers by, if it was she
        who asked. Raises InvalidRequest (`delayed_since`).
        """
        consent = Consent(health_at=now, hospital_at=now, by=by.id, role=by.role)
        referral = cls(consent=consent, requested_at=now, **given)
        if not FIRST_DELAY <= referral.delayed_since <= local_day(now):
            raise _invalid("delayed_since", "须为2019-12-01至今天 / must be from 2019-12-01 to today")
        referral.record(events.ReferralRequested.of(referral, account=account, day=local_day(now)))
        return referral

    @property
    def claimed(self) -> bool:
        """Whether it belongs to an account: hers who asked, or hers who brought the code."""
        return self.consent.by == PATIENT or any(step.move == CLAIMED for step in self.history)

    def check_unclaimed(self) -> None:
        """Raises AlreadyClaimed; Erased, where nobody is left to claim it."""
        if not self.patient_key:
            raise Erased()
        if self.claimed:
            raise AlreadyClaimed()

    def claim(self, patient_key: str, account: str, now: datetime) -> None:
        """She brought the code: it is her account's. `account`: what others know that by.

        Raises AlreadyClaimed, Erased.
        """
        self.check_unclaimed()
        self.patient_key = patient_key
        step = Transition(
            move=CLAIMED, source=self.state, target=self.state, at=now, by=HERSELF.id, role=HERSELF.role
        )
        self.history = [*self.history, step]
        self.record(events.PatientClaimed.of(self, account=account, day=local_day(now)))

    def triage(self, urgency: Urgency, now: datetime, by: Actor) -> None:
        """It is complete: pass it on to the department. Raises IllegalMove."""
        self._step(events.ReferralTriaged, "triage", now, by)
        self.urgency = urgency

    def accept(self, urgency: Urgency | None, opinion: str | None, now: datetime, by: Actor) -> None:
        """Take the patient, perhaps in another class. Raises IllegalMove."""
        self._step(events.ReferralAccepted, "accept", now, by)
        self.urgency = urgency or self.urgency
        self.opinion = opinion or self.opinion

    def decline(self, why: Why, opinion: str | None, now: datetime, by: Actor) -> None:
        """The department cannot take her. Raises IllegalMove."""
        self._step(events.ReferralDeclined, "decline", now, by, why)
        self.opinion = opinion or self.opinion

    # ── a bed ────────────────────────────────────────────────────────────────────────────────────

    def offer_bed(self, bed: int, admission_day: date, now: datetime, by: Actor) -> None:
        """Keep a bed for her until she has answered. Raises IllegalMove, InvalidRequest."""
        self.check("offer_bed")
        if admission_day < local_day(now) or admission_day > local_day(now + LONGEST_HOLD):
            raise _invalid("admission_day", "须为今天起90天内 / must be within 90 days from today")
        until = min(now + DEPARTMENTS[self.department].offer, day_bounds(admission_day)[1])
        facts: dict[str, Any] = {"waited_days": self._waited(now), "expires_at": until}
        self._step(events.ReferralBedOffered, "offer_bed", now, by, **facts)
        self.placed_at = self.placed_at or now
        self.bed, self.deadline = bed, until
        self.offer = BedOffer(admission_day=admission_day, expires_at=until)

    def confirm_offer(self, now: datetime, by: Actor) -> None:
        """She will come: the bed is kept until that day is over. Raises IllegalMove, OfferExpired."""
        offer = self._live_offer("confirm_offer", now)
        until = day_bounds(offer.admission_day)[1]
        self._step(events.ReferralOfferConfirmed, "confirm_offer", now, by, expires_at=until)
        self.offer = offer.model_copy(update={"confirmed": True, "expires_at": until})
        self.deadline = until

    def return_offer(self, why: Why, now: datetime, by: Actor) -> None:
        """The bed is given back; she is in the queue again, at her old place. Raises IllegalMove."""
        self._step(events.ReferralOfferReturned, "return_offer", now, by, why)
        self._free()

    def lapse(self, now: datetime) -> None:
        """Nobody came in time. Raises IllegalMove."""
        self._step(events.ReferralOfferLapsed, "lapse", now, SYSTEM)
        self._free()

    def admit(self, now: datetime, by: Actor) -> None:
        """She is in the ward; the bed stays hers. Raises IllegalMove, OfferExpired."""
        self._live_offer("admit", now)
        self._step(events.ReferralAdmitted, "admit", now, by)
        self.offer, self.deadline = None, None

    def _live_offer(self, move: str, now: datetime) -> BedOffer:
        # The sweep may be a second late: what has expired must not depend on it.
        self.check(move)
        assert self.offer
        if now >= self.offer.expires_at:
            raise OfferExpired(expires_at=self.offer.expires_at)
        return self.offer

    # ── a consult: the slot's own rules are in slot.py, and both are committed together ──────────

    def book_consult(self, slot_id: str, starts_at: datetime, now: datetime, by: Actor) -> None:
        """Raises IllegalMove."""
        facts: dict[str, Any] = {"waited_days": self._waited(now), "starts_at": starts_at}
        self._step(events.ReferralConsultBooked, "book_consult", now, by, **facts)
        self.placed_at = self.placed_at or now
        self.slot_id = slot_id

    def reschedule(self, slot_id: str, starts_at: datetime, now: datetime, by: Actor) -> None:
        """Raises IllegalMove."""
        self._step(events.ReferralConsultRescheduled, "reschedule", now, by, starts_at=starts_at)
        self.slot_id = slot_id

    def release_consult(self, why: Why, now: datetime, by: Actor) -> None:
        """It will not take place; she is in the queue again. Raises IllegalMove."""
        self._step(events.ReferralConsultReleased, "release_consult", now, by, why)
        self._free()

    def consult(self, opinion: str | None, now: datetime, by: Actor) -> None:
        """It took place: the slot is used up, and needs not be given back. Raises IllegalMove."""
        self._step(events.ReferralConsulted, "consult", now, by)
        self.opinion = opinion or self.opinion
        self._free()

    # ── out ──────────────────────────────────────────────────────────────────────────────────────

    def complete(self, opinion: str | None, now: datetime, by: Actor) -> None:
        """She got what she was referred for. Raises IllegalMove."""
        self._step(events.ReferralCompleted, "complete", now, by)
        self.opinion = opinion or self.opinion
        self._free()

    def fail(self, why: Why, now: datetime, by: Actor) -> None:
        """It came to nothing. Raises IllegalMove."""
        self._step(events.ReferralNotCompleted, "fail", now, by, why)
        self._free()

    def cancel(self, why: Why, now: datetime, by: Actor) -> None:
        """Take it back. Raises IllegalMove."""
        self._step(events.ReferralCancelled, "cancel", now, by, why)
        self._free()

    def enter_in_error(self, why: Why, now: datetime, by: Actor) -> None:
        """It should never have been there. Raises IllegalMove."""
        self._step(events.ReferralEnteredInError, "enter_in_error", now, by, why)
        self._free()

    def hold(self, why: Why, until: date, now: datetime, by: Actor) -> None:
        """Let it rest: on that day it comes back by itself. Raises IllegalMove, InvalidRequest."""
        self.check("hold")
        if not local_day(now) < until <= local_day(now + LONGEST_HOLD):
            raise _invalid("until", "须在今后90天内 / must be within the next 90 days")
        self._step(events.ReferralHeld, "hold", now, by, why)
        self.deadline = day_bounds(until)[0]

    def resume(self, now: datetime, by: Actor) -> None:
        """The department looks at it again. Raises IllegalMove."""
        self._step(events.ReferralResumed, "resume", now, by)
        self.deadline = None

    def fall_due(self, now: datetime) -> None:
        """What happens when the deadline has passed: an offer lapses, a rest ends."""
        if self.state is ReferralState.BED_OFFERED:
            self.lapse(now)
        elif self.state is ReferralState.ON_HOLD:
            self.resume(now, SYSTEM)
        self.deadline = None

    def forget(self, now: datetime, by: Actor = HERSELF) -> None:
        """Forget the patient: what still runs ends with her consent, and nothing is left to match by.

        Only who lies in the ward stays there: the bed is hers until the ward discharges her.
        """
        legal = self.legal
        if self.state is ReferralState.ADMITTED:
            pass
        elif "cancel" in legal:
            self.cancel(Why.CONSENT_WITHDRAWN, now, by)
        elif "fail" in legal:
            self.fail(Why.CONSENT_WITHDRAWN, now, by)
        self.patient_key = ""
        self.record(events.PatientErased.of(self, day=local_day(now)))

    # ── whose it is ──────────────────────────────────────────────────────────────────────────────

    def concerns(self, caller: Caller) -> bool:
        """The coordinator has to do with all of them, a department from when it knows of it."""
        return super().concerns(caller) and (caller.role is not Role.CLINICIAN or self.passed_on)

    @classmethod
    def concerning(cls, caller: Caller) -> dict[str, Any] | None:
        """See `concerns`."""
        own = super().concerning(caller)
        passed_on = {"history.move": "triage"} if caller.role is Role.CLINICIAN else {}
        return own if own is None else own | passed_on

    @property
    def passed_on(self) -> bool:
        """Whether the department knows of it: the coordinator has triaged it, whatever came then."""
        return any(step.move == "triage" for step in self.history)

    @property
    def read_by_department(self) -> bool:
        """Whether the department may read it now."""
        return self.state in READ_BY_DEPARTMENT

    @property
    def emergency_possible(self) -> bool:
        """Whether its glass can be broken: it lies with a department, and was not taken back."""
        return self.passed_on and self.state not in TAKEN_BACK

    # ── how ──────────────────────────────────────────────────────────────────────────────────────

    def _step(
        self,
        event: EventClass,
        move: str,
        now: datetime,
        by: Actor,
        why: Why | None = None,
        **facts: Any,
    ) -> None:
        was = self.state
        self.move(move, now, by=by, why=why)
        self.open = not self.ended
        self.record(event.of(self, was=was, day=local_day(now), **facts))

    def _waited(self, now: datetime) -> int | None:
        """Days from the request to the first place; None when she had one before."""
        return None if self.placed_at else (local_day(now) - local_day(self.requested_at)).days

    def _free(self) -> None:
        """Nothing is kept for her any more."""
        self.bed, self.slot_id, self.offer, self.deadline = 0, "", None, None


def _invalid(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(errors=[{"field": f"body.{field}", "message": message, "kind": "range"}])


def queue_key(referral: Referral) -> tuple[bool, date, datetime, str]:
    """What a place in the queue depends on, and nothing else: the same order as QUEUE_ORDER."""
    routine = referral.urgency is Urgency.ROUTINE
    return routine, referral.delayed_since, referral.requested_at, referral.id
