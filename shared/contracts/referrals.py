"""Events of `referrals` (女性健康公益关爱). Ids, department and state: no clinical word, no name, no phone.

`division` is the county and nothing finer. `patient` is an id of the vault and says nothing about her.
"""

from datetime import datetime

from pydantic import BaseModel

from shared.city.departments import Department
from shared.model.documents import Day
from shared.model.events import Event, EventClass
from shared.model.personal import Personal, PersonId

RUNNING = (
    "requested",
    "triaged",
    "accepted",
    "bed_offered",
    "consult_booked",
    "on_hold",
    "admitted",
    "consulted",
)
ENDED = ("completed", "declined", "not_completed", "cancelled", "entered_in_error")
"""The states: of referrals that run, and of those that do not any more."""


class Step(BaseModel):
    """What every change of a referral says: which one, whose, where, and from which state to which."""

    referral_id: str
    patient: PersonId
    department: Department
    was: str | None = None
    """The state before; None for a new referral."""
    state: str
    day: Day


class Placed(Step):
    """A place was found for the patient."""

    waited_days: int | None = None
    """Days from the request to the first place, bed or consult; None when she had one before."""


class ReferralRequested(Step, Event, name="referral.requested"):
    """A patient asks for care that the epidemic delayed. `account`: a keyed hash of her account, for her
    inbox; None where the coordinator asks for who spoke by phone."""

    person_field = "patient"

    account: Personal[str] = None


class ReferralTriaged(Step, Event, name="referral.triaged"):
    """The coordinator found it complete, and passed it on to the department."""


class ReferralAccepted(Step, Event, name="referral.accepted"):
    """The department takes the patient: she stands in its queue."""


class ReferralDeclined(Step, Event, name="referral.declined"):
    """The department cannot take the patient."""


class ReferralBedOffered(Placed, Event, name="referral.bed-offered"):
    """A bed is kept for the patient until the offer expires."""

    expires_at: datetime


class ReferralOfferConfirmed(Step, Event, name="referral.offer-confirmed"):
    """The patient will come: the bed is kept until the day of admission is over."""

    expires_at: datetime


class ReferralOfferReturned(Step, Event, name="referral.offer-returned"):
    """The patient, or the department, gave the offered bed back; she is in the queue again."""


class ReferralOfferLapsed(Step, Event, name="referral.offer-lapsed"):
    """The offer expired: the bed is free again, and the patient in the queue again."""


class ReferralAdmitted(Step, Event, name="referral.admitted"):
    """The patient is in the ward."""


class ReferralConsultBooked(Placed, Event, name="referral.consult-booked"):
    """A remote consult is booked."""

    starts_at: datetime


class ReferralConsultRescheduled(Step, Event, name="referral.consult-rescheduled"):
    """The consult moved to another slot."""

    starts_at: datetime


class ReferralConsultReleased(Step, Event, name="referral.consult-released"):
    """The consult will not take place; the patient is in the queue again."""


class ReferralConsulted(Step, Event, name="referral.consulted"):
    """The consult took place."""


class ReferralCompleted(Step, Event, name="referral.completed"):
    """The patient got what she was referred for."""


class ReferralNotCompleted(Step, Event, name="referral.not-completed"):
    """It came to nothing."""


class ReferralHeld(Step, Event, name="referral.held"):
    """It rests until a day."""


class ReferralResumed(Step, Event, name="referral.resumed"):
    """It goes on: the department looks at it again."""


class ReferralCancelled(Step, Event, name="referral.cancelled"):
    """The patient, or the coordinator for her, took it back."""


class ReferralEnteredInError(Step, Event, name="referral.entered-in-error"):
    """It should never have been there."""


class PatientClaimIssued(Event, name="patient.claim-issued"):
    """A code waits to be sent to a patient: with it she makes her own what was written down for her.
    Only the notifier opens phone and code."""

    person_field = "patient"

    claim_id: str
    referral_id: str
    patient: PersonId
    valid_minutes: int
    phone: Personal[str] = None
    code: Personal[str] = None


class PatientClaimLapsed(Event, name="patient.claim-lapsed"):
    """Nobody brought the code in time."""

    claim_id: str
    referral_id: str
    patient: PersonId
    day: Day


class PatientClaimed(Event, name="patient.claimed"):
    """A patient brought the code: the referral belongs to her account, of which `account` is a keyed hash."""

    person_field = "patient"

    referral_id: str
    patient: PersonId
    day: Day
    account: Personal[str] = None


class PatientErased(Event, name="patient.erased"):
    """A patient's key was deleted: her personal data can be read nowhere any more."""

    referral_id: str
    patient: PersonId
    department: Department
    day: Day


class BedsChanged(Event, name="beds.changed"):
    """A department keeps another number of beds for the channel."""

    department: Department
    beds: int


class SlotMoved(Event, name="slot.moved"):
    """A consult slot was opened, booked, released, used or withdrawn, or its time passed."""

    slot_id: str
    department: Department
    was: str | None = None
    state: str
    starts_at: datetime


class RecordBreakGlass(Event, name="record.break-glass"):
    """Somebody whose patient it is not opened a record in an emergency: it must be reviewed."""

    grant_id: str
    referral_id: str
    patient: PersonId
    department: Department
    day: Day


class BreakGlassReviewed(Event, name="record.break-glass-reviewed"):
    """The data officer looked at it; `state` is justified or unjustified."""

    grant_id: str
    referral_id: str
    patient: PersonId
    department: Department
    state: str
    day: Day


class BreakGlassOverdue(Event, name="record.break-glass-overdue"):
    """Nobody reviewed it in time."""

    grant_id: str
    referral_id: str
    patient: PersonId
    department: Department
    day: Day


STEPS: tuple[EventClass, ...] = (
    ReferralRequested,
    ReferralTriaged,
    ReferralAccepted,
    ReferralDeclined,
    ReferralBedOffered,
    ReferralOfferConfirmed,
    ReferralOfferReturned,
    ReferralOfferLapsed,
    ReferralAdmitted,
    ReferralConsultBooked,
    ReferralConsultRescheduled,
    ReferralConsultReleased,
    ReferralConsulted,
    ReferralCompleted,
    ReferralNotCompleted,
    ReferralHeld,
    ReferralResumed,
    ReferralCancelled,
    ReferralEnteredInError,
)
"""Every change of a referral's state: each says where it was and where it is."""
