"""Bulk invalidation: count first, then start; a background job strikes out what matches.

It stays in force until it is lifted: what comes later under the same condition is held for the reviewer.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from shared.city.days import day_bounds
from shared.city.divisions import division_range
from shared.contracts.pledges import InvalidationMoved, SignerRole
from shared.model.documents import Day, Index, Publishes
from shared.model.known import ByPhone
from shared.model.problems import Problem
from shared.model.roles import Role
from shared.model.stateful import Stateful
from shared.model.workflow import Actor, Move, Queue, Workflow

from .pledge import Pledge
from .reasons import Why
from .states import COUNTED, PENDING, VERIFIED


class EmptyCondition(Problem):
    """It would strike out everything: name at least one thing that the pledges have in common."""

    status, type, title, title_en = 422, "empty-condition", "条件不能为空", "The condition is empty"


class InvalidationState(StrEnum):
    """Where a bulk invalidation stands."""

    PREPARED = "prepared"
    RUNNING = "running"
    DONE = "done"
    """All that matched is struck out; the condition holds on for what comes later."""
    LIFTED = "lifted"
    CANCELLED = "cancelled"


ENDED = "ended"
"""In place of a phone's key."""
PREPARED, RUNNING, DONE = InvalidationState.PREPARED, InvalidationState.RUNNING, InvalidationState.DONE
IN_FORCE = (RUNNING, DONE)
"""The states in which a condition reaches what comes."""
REVIEWER = Queue("reviewer", Role.COUNTY_OFFICER, Role.CITY_OFFICER)
INVALIDATION = Workflow(
    moves={
        "start": Move((PREPARED,), RUNNING),
        "finish": Move((RUNNING,), DONE),
        "cancel": Move((PREPARED, RUNNING), InvalidationState.CANCELLED),
        "lift": Move((DONE,), InvalidationState.LIFTED),
    },
    queues={PREPARED: REVIEWER, RUNNING: Queue("system"), DONE: REVIEWER},
)


BEFORE_ALL, AFTER_ALL = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""In place of a day that is not given."""


class Condition(BaseModel):
    """What the pledges have in common; all that is given must hold. Days are those of the forms."""

    model_config = ConfigDict(frozen=True)

    campaign_id: str | None = None
    division: str | None = None
    from_day: Day | None = None
    to_day: Day | None = None
    phone_key: str | None = None
    """Forgotten once it is in force no more: what it struck out must not lead back to a phone."""
    role: SignerRole | None = None

    @property
    def one_phone(self) -> bool:
        """Whether it is about one phone; which, is told to nobody."""
        return self.phone_key is not None

    def where(self) -> dict[str, Any]:
        """As a query over pledges. Raises EmptyCondition."""
        where = self._same | {name: {"$gte": low, "$lt": high} for name, (low, high) in self._within.items()}
        if not where:
            raise EmptyCondition()
        return where | {"state": {"$in": [PENDING, VERIFIED, COUNTED]}}

    def covers(self, pledge: Pledge) -> bool:
        """Whether a pledge has all of that in common, as the query says it; its state apart."""
        return all(getattr(pledge, name) == value for name, value in self._same.items()) and all(
            low <= getattr(pledge, name) < high for name, (low, high) in self._within.items()
        )

    @property
    def _same(self) -> dict[str, Any]:
        """The fields that are equal."""
        same = {"campaign_id": self.campaign_id, "phone_key": self.phone_key, "role": self.role}
        return {name: value for name, value in same.items() if value is not None}

    @property
    def _within(self) -> dict[str, tuple[Any, Any]]:
        """The fields that lie in a range: from its first value on, before its last."""
        within: dict[str, tuple[Any, Any]] = {}
        if self.division:
            bounds = division_range(self.division)
            within["division"] = bounds["$gte"], bounds["$lt"]
        if self.from_day or self.to_day:
            first = day_bounds(self.from_day)[0] if self.from_day else BEFORE_ALL
            within["created_at"] = first, day_bounds(self.to_day)[1] if self.to_day else AFTER_ALL
        return within


class Invalidation(Stateful):
    """`matched` is the dry count; `invalidated` how many were struck out so far."""

    collection: ClassVar[str] = "invalidations"
    publishes: ClassVar[Publishes] = {InvalidationMoved: ()}
    flow: ClassVar[Workflow] = INVALIDATION
    known_by = (ByPhone("condition.phone_key"),)  # it is the number that is struck out, whoever has it
    kept = ("state", "reason", "at")
    division_field = "condition.division"
    indexes: ClassVar[Sequence[Index]] = (Index("states", [("state", 1), ("at", 1)]),)

    condition: Condition
    reason: Why
    by: str
    role: Role | None = None
    at: datetime
    matched: int
    invalidated: int = 0
    after: str = ""
    """The id of the last pledge looked at: where a restart goes on."""
    state: InvalidationState = PREPARED

    @property
    def actor(self) -> Actor:
        """Whose doing it is, in the history of each pledge."""
        return Actor(self.by, self.role)

    @classmethod
    def prepared(cls, condition: Condition, matched: int, reason: Why, by: Actor, now: datetime) -> Self:
        """To be looked at before it is started; `matched` is the dry count."""
        invalidation = cls(
            condition=condition, matched=matched, reason=reason, by=by.id, role=by.role, at=now
        )
        invalidation._moved()
        return invalidation

    def start(self, by: Actor, now: datetime) -> None:
        """Let the job do it. Raises IllegalMove."""
        self._move("start", now, by)

    def cancel(self, by: Actor, now: datetime) -> None:
        """Stop; what was struck out stays so. Raises IllegalMove."""
        self._move("cancel", now, by)

    def lift(self, by: Actor, now: datetime) -> None:
        """What comes from now on is held for it no more. Raises IllegalMove."""
        self._move("lift", now, by)

    @property
    def started_at(self) -> datetime:
        """When it was let begin."""
        return next(step.at for step in self.history if step.move == "start")

    def progress(self, invalidated: int, after: str) -> None:
        """Some more were looked at, perhaps after a cancellation."""
        self.invalidated, self.after = invalidated, after

    def finish(self, invalidated: int, now: datetime) -> None:
        """Nothing is left to look at; nothing to do when it was cancelled in the meantime."""
        self.invalidated = invalidated
        if self.state is RUNNING:
            self._move("finish", now, None)

    def _move(self, move: str, now: datetime, by: Actor | None) -> None:
        self.move(move, now, by=by)
        if self.ended and self.condition.phone_key:
            self.condition = self.condition.model_copy(update={"phone_key": ENDED})
        self._moved()

    def _moved(self) -> None:
        self.record(InvalidationMoved.of(self))
