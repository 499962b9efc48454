"""The states of a referral, whose turn it is in each, and the FHIR R4 Task status each one is."""

from collections.abc import Mapping
from enum import StrEnum

from shared.model.roles import Role
from shared.model.workflow import Move, Queue, Workflow


class ReferralState(StrEnum):
    """Where a referral stands."""

    REQUESTED = "requested"
    TRIAGED = "triaged"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    BED_OFFERED = "bed_offered"
    CONSULT_BOOKED = "consult_booked"
    ADMITTED = "admitted"
    CONSULTED = "consulted"
    COMPLETED = "completed"
    NOT_COMPLETED = "not_completed"
    ON_HOLD = "on_hold"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered_in_error"


class Urgency(StrEnum):
    """An accepted urgent case stands before routine ones. Stored by name, so `urgent` sorts last."""

    ROUTINE = "routine"
    URGENT = "urgent"


class Why(StrEnum):
    """Why a referral did not go on. A code and not a text: nothing clinical can be written into it."""

    OUT_OF_SCOPE = "out-of-scope"
    TREATED_LOCALLY = "treated-locally"
    INCOMPLETE = "incomplete"
    NO_CAPACITY = "no-capacity"
    PATIENT_DECLINED = "patient-declined"
    UNREACHABLE = "unreachable"
    PATIENT_ASKED = "patient-asked"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    DEPARTMENT_UNAVAILABLE = "department-unavailable"
    DUPLICATE = "duplicate"
    WRONG_PERSON = "wrong-person"
    OTHER = "other"


COORDINATOR, DEPARTMENT = Queue("coordinator", Role.COORDINATOR), Queue("department", Role.CLINICIAN)
"""The two roles that work on referrals; a patient answers, and is never the only one who would notice."""

S = ReferralState
PLACED = (S.BED_OFFERED, S.CONSULT_BOOKED)
CARED_FOR = (S.ADMITTED, S.CONSULTED)
OPEN = (S.REQUESTED, S.TRIAGED, S.ACCEPTED, *PLACED, S.ON_HOLD)
"""Nothing was done for the patient yet: it can still be cancelled."""
READ_BY_DEPARTMENT = (S.TRIAGED, S.ACCEPTED, *PLACED, *CARED_FOR, S.ON_HOLD, S.COMPLETED, S.NOT_COMPLETED)
"""The department reads from when the coordinator has passed it on, and afterwards what it has to answer for.
Not what it declined, and not what was taken back: the consent was to being treated there."""
TAKEN_BACK = (S.CANCELLED, S.ENTERED_IN_ERROR)
"""Nobody has a reason to read it any more, not in an emergency either."""

REFERRAL = Workflow(
    moves={
        "triage": Move((S.REQUESTED,), S.TRIAGED),
        "accept": Move((S.TRIAGED,), S.ACCEPTED),
        "decline": Move((S.TRIAGED,), S.DECLINED),
        "offer_bed": Move((S.ACCEPTED,), S.BED_OFFERED),
        "confirm_offer": Move((S.BED_OFFERED,), S.BED_OFFERED),
        "return_offer": Move((S.BED_OFFERED,), S.ACCEPTED, always=True),
        "lapse": Move((S.BED_OFFERED,), S.ACCEPTED, always=True),
        "admit": Move((S.BED_OFFERED,), S.ADMITTED),
        "book_consult": Move((S.ACCEPTED,), S.CONSULT_BOOKED),
        "reschedule": Move((S.CONSULT_BOOKED,), S.CONSULT_BOOKED),
        "release_consult": Move((S.CONSULT_BOOKED,), S.ACCEPTED, always=True),
        "consult": Move((S.CONSULT_BOOKED,), S.CONSULTED),
        "complete": Move(CARED_FOR, S.COMPLETED),
        "fail": Move((S.ACCEPTED, *PLACED, *CARED_FOR, S.ON_HOLD), S.NOT_COMPLETED),
        "hold": Move((S.TRIAGED, S.ACCEPTED), S.ON_HOLD),
        "resume": Move((S.ON_HOLD,), S.TRIAGED, always=True),
        "cancel": Move(OPEN, S.CANCELLED),
        "enter_in_error": Move((*OPEN, *CARED_FOR), S.ENTERED_IN_ERROR),
    },
    queues={
        S.REQUESTED: COORDINATOR,
        S.TRIAGED: DEPARTMENT,
        S.ACCEPTED: DEPARTMENT,
        S.BED_OFFERED: COORDINATOR,
        S.CONSULT_BOOKED: DEPARTMENT,
        S.ADMITTED: DEPARTMENT,
        S.CONSULTED: DEPARTMENT,
        S.ON_HOLD: COORDINATOR,
    },
)

TASK_STATUS: Mapping[ReferralState, str] = {
    S.REQUESTED: "requested",
    S.TRIAGED: "received",
    S.ACCEPTED: "accepted",
    S.DECLINED: "rejected",
    S.BED_OFFERED: "in-progress",
    S.CONSULT_BOOKED: "in-progress",
    S.ADMITTED: "in-progress",
    S.CONSULTED: "in-progress",
    S.COMPLETED: "completed",
    S.NOT_COMPLETED: "failed",
    S.ON_HOLD: "on-hold",
    S.CANCELLED: "cancelled",
    S.ENTERED_IN_ERROR: "entered-in-error",
}
"""http://hl7.org/fhir/R4/valueset-task-status.html"""


def states_of(role: str) -> list[ReferralState]:
    """The states in a role's work queue."""
    return [ReferralState(state) for state, queue in REFERRAL.queues.items() if queue == role]
