"""Who read which record, when and why; and the emergency in which somebody reads whose patient it is not."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Self

from shared.city.days import local_day
from shared.city.departments import Department
from shared.contracts import referrals as events
from shared.model.documents import Document, Index, Publishes
from shared.model.known import PartOf
from shared.model.personal import Personal, PersonId
from shared.model.problems import Problem
from shared.model.roles import Role
from shared.model.stateful import Stateful
from shared.model.workflow import Actor, Move, Queue, Workflow

from .referral import Referral

GRANTED = timedelta(hours=1)
"""For how long a record stays open after its glass was broken."""
REVIEW_WITHIN = timedelta(hours=72)


class NotRecorded(Problem):
    """The reading could not be written down, so nothing was read."""

    status, type, title, title_en = 503, "not-recorded", "无法记录查阅，未予显示", "Reading not recorded"


class NotNeeded(Problem):
    """The caller may read the record as it is; `until`, where they have broken its glass already."""

    status, type, title, title_en = 409, "not-needed", "无需紧急查阅", "No emergency is needed"


class NoLongerRead(Problem):
    """The department has nothing to do with the record any more; `state` says why."""

    status, type = 403, "no-longer-read"
    title, title_en = "本科室不再查阅该转诊", "The department reads this record no more"


class OwnReview(Problem):
    """Nobody reviews their own emergency."""

    status, type, title, title_en = 403, "own-review", "不能审核本人的紧急查阅", "Your own emergency"


class View(StrEnum):
    """What of a record was read."""

    LOGISTICS = "logistics"
    CLINICAL = "clinical"
    PATIENT = "patient"
    FHIR = "fhir"
    REVIEW = "review"
    """The reason of an emergency, by the data officer."""


class Reading(Document):
    """One entry of the access log: committed before the answer is given, and never changed."""

    collection: ClassVar[str] = "readings"
    part_of = PartOf(Referral, "referral_id")
    indexes: ClassVar[Sequence[Index]] = (Index("referral", [("referral_id", 1), ("at", -1), ("_id", -1)]),)

    referral_id: str
    by: str
    """The id of the reader; `patient` for herself."""
    role: str
    department: str | None
    """The reader's department."""
    view: View
    at: datetime
    grant_id: str | None = None
    """The emergency that it was read in."""


class GrantState(StrEnum):
    """Where the review of an emergency stands."""

    OPEN = "open"
    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


OPEN = GrantState.OPEN
REVIEW = Workflow(
    moves={
        "justify": Move((OPEN,), GrantState.JUSTIFIED),
        "object": Move((OPEN,), GrantState.UNJUSTIFIED),
    },
    queues={OPEN: Queue("data-officer", Role.DATA_OFFICER)},
)


class Grant(Stateful):
    """A broken glass: one reader may read one record for an hour, and the data officer reviews why.

    The reason may say something about the patient, so it is sealed with her key.
    """

    collection: ClassVar[str] = "grants"
    flow: ClassVar[Workflow] = REVIEW
    person_field: ClassVar[str | None] = "patient"
    part_of = PartOf(Referral, "referral_id")
    publishes: ClassVar[Publishes] = {
        events.RecordBreakGlass: ("day",),
        events.BreakGlassReviewed: ("day",),
        events.BreakGlassOverdue: ("day",),
    }
    former_indexes: ClassVar[Sequence[str]] = ("reviews",)
    indexes: ClassVar[Sequence[Index]] = (
        Index("readers", [("referral_id", 1), ("by", 1), ("until", -1)]),
        Index(
            "numbers",
            [("referral_id", 1), ("by", 1), ("number", 1)],
            unique=True,
            where={"number": {"$gt": 0}},
        ),
        Index("to_review", [("state", 1), ("at", 1), ("_id", 1)]),
    )

    referral_id: str
    patient: PersonId
    department: Department
    division: str
    by: str
    role: Role | None = None
    number: int = 0
    """The how many-th of this reader for this record: of two that are asked for at once, one is made."""
    reason: Personal[str] = None
    at: datetime
    until: datetime
    state: GrantState = OPEN
    overdue: bool = False
    deadline: datetime | None = None
    """Until when it must be reviewed."""

    @classmethod
    def broken(
        cls, referral: Referral, reason: str, by: Actor, now: datetime, last: "Grant | None" = None
    ) -> Self:
        """Open the record in an emergency. `last`: the reader's last one. Raises NotNeeded."""
        if last is not None and last.holds(now):
            raise NotNeeded(until=last.until)
        grant = cls(
            referral_id=referral.id,
            patient=referral.patient,
            department=referral.department,
            division=referral.division,
            by=by.id,
            role=by.role,
            number=last.number + 1 if last else 1,
            reason=reason,
            at=now,
            until=now + GRANTED,
            deadline=now + REVIEW_WITHIN,
        )
        grant.record(events.RecordBreakGlass.of(grant, day=local_day(now)))
        return grant

    def holds(self, now: datetime) -> bool:
        """Whether the reader may read by it."""
        return now < self.until and self.state is not GrantState.UNJUSTIFIED

    def review(self, *, justified: bool, now: datetime, by: Actor) -> None:
        """The data officer's finding. Raises IllegalMove, OwnReview."""
        self.check("justify")
        if by.id == self.by:
            raise OwnReview()
        self.move("justify" if justified else "object", now, by=by)
        self.deadline = None
        self.record(events.BreakGlassReviewed.of(self, day=local_day(now)))

    def fall_due(self, now: datetime) -> None:
        """Nobody reviewed it in time: say so once."""
        self.deadline, self.overdue = None, True
        self.record(events.BreakGlassOverdue.of(self, day=local_day(now)))
