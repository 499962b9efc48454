"""A consult slot (远程会诊): a time with a department, booked by one referral at most."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Self

from shared.city.departments import Department
from shared.contracts.referrals import SlotMoved
from shared.model.documents import Index, Publishes
from shared.model.problems import InvalidRequest, Problem, TooEarly
from shared.model.stateful import Stateful
from shared.model.workflow import Actor, Move, Workflow

from .states import COORDINATOR, DEPARTMENT, Why


class SlotState(StrEnum):
    """Where a slot stands."""

    OPEN = "open"
    BOOKED = "booked"
    USED = "used"
    WITHDRAWN = "withdrawn"
    PASSED = "passed"


OPEN, BOOKED = SlotState.OPEN, SlotState.BOOKED
SLOT = Workflow(
    moves={
        "book": Move((OPEN,), BOOKED),
        "release": Move((BOOKED,), OPEN, always=True),
        "use": Move((BOOKED,), SlotState.USED),
        "withdraw": Move((OPEN, BOOKED), SlotState.WITHDRAWN),
        "pass": Move((OPEN,), SlotState.PASSED),
    },
    queues={OPEN: COORDINATOR, BOOKED: DEPARTMENT},
)


class SlotTaken(Problem):
    """Another referral booked it."""

    status, type, title, title_en = 409, "slot-taken", "时段已被预约", "The slot is taken"


class OtherDepartment(Problem):
    """The slot is one of another department than the referral."""

    status, type, title, title_en = 409, "other-department", "不是同一科室", "Another department's slot"


class TooLate(Problem):
    """The slot began at `starts_at`."""

    status, type, title, title_en = 409, "too-late", "时段已开始", "The slot has begun"


class Slot(Stateful):
    """`referral_id` is who booked it, under a unique index: no referral has two. `deadline` is its start,
    while it is open.
    """

    collection: ClassVar[str] = "slots"
    flow: ClassVar[Workflow] = SLOT
    publishes: ClassVar[Publishes] = {SlotMoved: ("was",)}
    former_indexes: ClassVar[Sequence[str]] = ("times",)
    indexes: ClassVar[Sequence[Index]] = (
        Index("bookings", [("referral_id", 1)], unique=True, where={"referral_id": {"$gt": ""}}),
        Index("coming", [("department", 1), ("state", 1), ("starts_at", 1), ("_id", 1)]),
    )

    department: Department
    starts_at: datetime
    minutes: int
    link: str
    """Where to meet: told to those who are to come, and never published."""
    referral_id: str = ""
    state: SlotState = OPEN
    deadline: datetime | None = None

    @classmethod
    def opened(
        cls, department: Department, starts_at: datetime, minutes: int, link: str, now: datetime
    ) -> Self:
        """A time that can be booked until it begins. Raises InvalidRequest."""
        if starts_at <= now:
            message = "须晚于现在 / must be in the future"
            raise InvalidRequest(errors=[{"field": "body.starts_at", "message": message, "kind": "range"}])
        slot = cls(department=department, starts_at=starts_at, minutes=minutes, link=link, deadline=starts_at)
        slot._told(None)
        return slot

    def book(self, referral_id: str, department: Department, now: datetime, by: Actor) -> None:
        """Raises SlotTaken, IllegalMove, OtherDepartment, TooLate."""
        if self.state is BOOKED:
            raise SlotTaken()
        self.check("book")
        if self.department is not department:
            raise OtherDepartment(department=self.department)
        if self.starts_at <= now:
            raise TooLate(starts_at=self.starts_at)
        self._step("book", now, by)
        self.referral_id, self.deadline = referral_id, None

    def release(self, now: datetime, by: Actor) -> None:
        """Nobody has it any more; when its time has come, it is gone at once. Raises IllegalMove."""
        self._step("release", now, by)
        self.referral_id, self.deadline = "", self.starts_at
        if self.starts_at <= now:
            self.fall_due(now)

    def use(self, now: datetime, by: Actor) -> None:
        """The consult took place. Raises IllegalMove, TooEarly."""
        self.check("use")
        if now < self.starts_at:
            raise TooEarly(starts_at=self.starts_at)
        self._step("use", now, by)

    def withdraw(self, why: Why, now: datetime, by: Actor) -> None:
        """The department cannot keep it. Raises IllegalMove."""
        self._step("withdraw", now, by, why)
        self.referral_id, self.deadline = "", None

    def fall_due(self, now: datetime) -> None:
        """It began, and nobody had booked it."""
        if self.state is OPEN:
            self._step("pass", now, Actor("system"))
        self.deadline = None

    def _step(self, move: str, now: datetime, by: Actor, why: Why | None = None) -> None:
        was = self.state
        self.move(move, now, by=by, why=why)
        self._told(was)

    def _told(self, was: SlotState | None) -> None:
        self.record(SlotMoved.of(self, was=was))
