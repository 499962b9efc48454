"""Bulk invalidation: count first, then start; a background job strikes out what matches."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.pledges import InvalidationMoved, SignerRole
from shared.days import day_bounds
from shared.divisions import CITY
from shared.documents import Day, Document, Index
from shared.problems import Problem
from shared.roles import Role
from shared.workflow import Actor, History, Move, Workflow

from .pledge import COUNTED, VERIFIED
from .reasons import Why


class EmptyCondition(Problem):
    """It would strike out everything: name at least one thing that the pledges have in common."""

    status, type, title, title_en = 422, "empty-condition", "条件不能为空", "The condition is empty"


class InvalidationState(StrEnum):
    """Where a bulk invalidation stands."""

    PREPARED = "prepared"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


ENDED = "ended"
"""In place of a phone's key."""
PREPARED, RUNNING = InvalidationState.PREPARED, InvalidationState.RUNNING
INVALIDATION = Workflow(
    moves={
        "start": Move((PREPARED,), RUNNING),
        "finish": Move((RUNNING,), InvalidationState.DONE),
        "cancel": Move((PREPARED, RUNNING), InvalidationState.CANCELLED),
    },
    queues={PREPARED: "reviewer", RUNNING: "system"},
)


class Condition(BaseModel):
    """What the pledges have in common; all that is given must hold. Days are those of the forms."""

    model_config = ConfigDict(frozen=True)

    campaign_id: str | None = None
    division: str | None = None
    from_day: Day | None = None
    to_day: Day | None = None
    phone_key: str | None = None
    """Forgotten when the job has ended: what it struck out must not lead back to a phone."""
    role: SignerRole | None = None

    def where(self) -> dict[str, Any]:
        """As a query over pledges. Raises EmptyCondition."""
        same = {"campaign_id": self.campaign_id, "phone_key": self.phone_key, "role": self.role}
        where: dict[str, Any] = {name: value for name, value in same.items() if value is not None}
        if self.division:
            where["division"] = division_range(self.division)
        days: dict[str, datetime] = {}
        if self.from_day:
            days["$gte"] = day_bounds(self.from_day)[0]
        if self.to_day:
            days["$lt"] = day_bounds(self.to_day)[1]
        if days:
            where["created_at"] = days
        if not where:
            raise EmptyCondition()
        return where | {"state": {"$in": [VERIFIED, COUNTED]}}


def division_range(code: str) -> dict[str, str]:
    """The codes of a division and of all within it; the city's own code ends in zeros."""
    prefix = code.removesuffix("00") if code == CITY else code
    return {"$gte": prefix, "$lt": prefix + ":"}


class Invalidation(Document):
    """`matched` is the dry count; `invalidated` how many were struck out so far."""

    collection: ClassVar[str] = "invalidations"
    indexes: ClassVar[Sequence[Index]] = (Index("running", [("at", 1)], where={"state": "running"}),)

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
    history: History = Field(default_factory=list)

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

    def progress(self, invalidated: int, after: str) -> None:
        """Some more were looked at, perhaps after a cancellation."""
        self.invalidated, self.after = invalidated, after

    def finish(self, invalidated: int, now: datetime) -> None:
        """Nothing is left to look at; nothing to do when it was cancelled in the meantime."""
        self.invalidated = invalidated
        if self.state is RUNNING:
            self._move("finish", now, None)

    def _move(self, move: str, now: datetime, by: Actor | None) -> None:
        INVALIDATION.move(self, move, now, by=by)
        if self.state in INVALIDATION.terminal and self.condition.phone_key:
            self.condition = self.condition.model_copy(update={"phone_key": ENDED})
        self._moved()

    def _moved(self) -> None:
        self.record(
            InvalidationMoved(
                invalidation_id=self.id,
                state=self.state,
                matched=self.matched,
                invalidated=self.invalidated,
            )
        )
