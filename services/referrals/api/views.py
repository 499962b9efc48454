"""What callers get to see. Commands answer with nothing personal: their answers are kept with their keys."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from services.referrals.domain.departments import DEPARTMENTS
from services.referrals.domain.reading import Grant, GrantState, Reading, View
from services.referrals.domain.referral import BedOffer, Consent, Referral
from services.referrals.domain.slot import Slot, SlotState
from services.referrals.domain.states import ReferralState, Urgency
from shared.city.days import local_day
from shared.city.departments import Department
from shared.city.divisions import county_of, division
from shared.http.views import DocumentView, StateView
from shared.model.clock import now
from shared.model.roles import Role
from shared.model.text import Lines
from shared.model.workflow import Transition


def a_county(code: str) -> str:
    if len(code) != 6 or county_of(code) != code or division(code).level != "county":
        raise PydanticCustomError("not_a_county", "须为县（市、区）的6位代码 / must be the code of a county")
    return code


Clinical = Annotated[str, Lines(4000)]
"""Free text about somebody's health: sealed, and shown to the department and the patient only."""


class StepView(StateView):
    """Where a referral stands."""

    department: Department
    department_name: str
    division: str
    urgency: Urgency
    delayed_since: date
    requested_at: datetime
    waiting_days: int
    """Since the request, until a first place was found."""
    state: ReferralState
    offer: BedOffer | None
    slot_id: str | None
    deadline: datetime | None

    @classmethod
    def of(cls, document: Referral, **more: Any) -> Self:
        until = local_day(document.placed_at or now())
        return super().of(
            document,
            department_name=DEPARTMENTS[document.department].name,
            waiting_days=(until - local_day(document.requested_at)).days,
            slot_id=document.slot_id or None,
            **more,
        )


class Place(BaseModel):
    """Where and when the consult takes place."""

    starts_at: datetime
    minutes: int
    link: str


def _place(slot: Slot | None) -> Place | None:
    return Place(**slot.model_dump(include={"starts_at", "minutes", "link"})) if slot else None


class LogisticsView(StepView):
    """For the coordinator: whom to call, and what was arranged. Nothing clinical."""

    name: str | None
    phone: str | None
    claimed: bool
    """Whether she finds it in her account; else a claim can be started."""
    consult: Place | None
    history: list[Transition]

    @classmethod
    def opened(cls, referral: Referral, slot: Slot | None) -> Self:
        return cls.of(referral, consult=_place(slot))


class ClinicalView(StepView):
    """For the department: who she is and what she has. How to reach her is the coordinator's."""

    name: str | None
    summary: str | None
    opinion: str | None
    consult: Place | None
    history: list[Transition]

    @classmethod
    def opened(cls, referral: Referral, slot: Slot | None) -> Self:
        return cls.of(referral, consult=_place(slot))


class ReadingView(BaseModel):
    """Who read it, when, and what of it; `reason` where it was an emergency."""

    by: str
    role: str
    department: str | None
    view: View
    at: datetime
    emergency: bool
    reason: str | None

    @classmethod
    def of(cls, reading: Reading, grants: dict[str, Grant]) -> "ReadingView":
        grant = grants.get(reading.grant_id or "")
        same = reading.model_dump(include={"by", "role", "department", "view", "at"})
        return cls(**same, emergency=reading.grant_id is not None, reason=grant.reason if grant else None)


class PatientView(StepView):
    """For the patient: all of it, and who read it."""

    patient: str
    """Names her inbox."""
    name: str | None
    phone: str | None
    summary: str | None
    opinion: str | None
    consent: Consent
    consult: Place | None
    history: list[Transition]
    readings: list[ReadingView]

    @classmethod
    def opened(cls, referral: Referral, slot: Slot | None, readings: list[ReadingView]) -> Self:
        return cls.of(referral, consult=_place(slot), readings=readings)


class SlotView(StateView):
    """A consult slot. Who booked it is said by the referral's id only."""

    department: Department
    starts_at: datetime
    minutes: int
    state: SlotState
    referral_id: str | None

    @classmethod
    def of(cls, document: Slot, **more: Any) -> Self:
        return super().of(document, referral_id=document.referral_id or None, **more)


class GrantView(DocumentView):
    """An emergency. The reason is shown to the data officer and the patient only."""

    referral_id: str
    department: Department
    by: str
    role: Role | None
    at: datetime
    until: datetime
    state: GrantState
    overdue: bool


class ReasonedGrantView(GrantView):
    """An emergency with its reason: for the review."""

    reason: str | None
    history: list[Transition]
