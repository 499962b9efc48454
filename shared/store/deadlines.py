"""Deadlines act by themselves, exactly once, on any number of replicas.

A deadline is a field of the document it belongs to: an instant, or None while nothing is due. What happens
then is a rule of the document, and the rule clears or moves the field. So the new state, its events and
the deadline that is gone are one write, checked against the version that was read: of two replicas that
act at once the second finds nothing left to do. There is no timer to set, so none can be lost.

Where many documents wait for the end of one window (of a campaign, an edition, a round), the instant is a
field of the document that has the window: a `Closing`. Whoever moves the window moves it for all of them.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import structlog

from shared.model.clock import now
from shared.model.documents import Document, Index
from shared.model.problems import Unavailable, VersionConflict
from shared.mongo.driver import PyMongoError, guarded
from shared.mongo.indexes import create_all
from shared.store.store import Store
from shared.telemetry import DEADLINES, new_traceparent, traced

D = TypeVar("D", bound=Document)
W = TypeVar("W", bound=Document)

POLL = 1.0
"""Seconds that a deadline may be noticed late at most; a known one is waited for exactly."""
LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)
BATCH = 100
"""Deadlines acted upon at the same time."""
PAUSES = (2.0, 10.0, 60.0)
"""Seconds before a rule that failed is tried again, the last one over and over."""
log = structlog.get_logger()


class RuleLeftDeadline(RuntimeError):
    """A rule neither cleared nor moved its deadline: it would act for ever."""


class _NothingDue(Exception):
    """Somebody else was faster, or the document moved on."""


@dataclass(frozen=True)
class Deadline(Generic[D]):
    """Once the instant in `field` has passed, `rule(document, now)` is applied and committed."""

    model: type[D]
    field: str
    rule: Callable[[D, datetime], object]

    @property
    def name(self) -> str:
        """What it is called in logs and metrics."""
        return f"{self.model.collection}.{self.field}"

    @property
    def indexes(self) -> list[tuple[type[Document], Index]]:
        """Only documents with a deadline are in it."""
        return [(self.model, _due_index(self.field))]

    def act(self, document: D, at: datetime) -> None:
        """Apply the rule if the deadline has passed; the rule must not leave it in the past."""
        if not self.passed(document, at):
            raise _NothingDue
        self.rule(document, at)
        if self.passed(document, at):
            raise RuleLeftDeadline(self.name)

    def passed(self, document: D, at: datetime) -> bool:
        """Whether it is due."""
        due: datetime | None = getattr(document, self.field)
        return due is not None and due <= at


def _due_index(field: str) -> Index:
    return Index(f"due_{field}", [(field, 1), ("_id", 1)], where={field: {"$type": "date"}})


@dataclass(frozen=True)
class Closing(Generic[D, W]):
    """Once the instant in `field` of a `window` has passed, `rule(document, now)` ends every document of
    `model` that names that window in `refers` and still is in the state `waiting`.

    A rule that leaves the state as it is says that it is too early for this document. When none is left,
    `closed(window, now)` clears the instant.
    """

    model: type[D]
    refers: str
    waiting: StrEnum
    rule: Callable[[D, datetime], object]
    window: type[W]
    field: str
    closed: Callable[[W, datetime], object]

    @property
    def name(self) -> str:
        """What it is called in logs and metrics."""
        return f"{self.window.collection}.{self.field}"

    @property
    def indexes(self) -> list[tuple[type[Document], Index]]:
        """Windows with an instant, and what waits under them."""
        keys = [(self.refers, 1), ("_id", 1)]
        waiting = Index(f"waiting_{self.waiting}", keys, where={"state": self.waiting})
        return [(self.window, _due_index(self.field)), (self.model, waiting)]

    def as_deadline(self) -> Deadline[W]:
        """The window's own: what is left to do when nothing waits under it any more."""
        return Deadline(self.window, self.field, self.closed)

    def act(self, document: D, at: datetime) -> None:
        """Apply the rule to what still waits."""
        if getattr(document, "state") == self.waiting:  # noqa: B009  # a workflow moves it
            self.rule(document, at)
            if getattr(document, "state") != self.waiting:  # noqa: B009
                return
        raise _NothingDue


class Deadlines:
    """Acts on the deadlines of one service in one process. `await prepare()`, then `run()`."""

    def __init__(self, store: Store, deadlines: Sequence[Deadline[Any] | Closing[Any, Any]]) -> None:
        self._store = store
        self._all = deadlines
        self._closings = [one for one in deadlines if isinstance(one, Closing)]
        self._deadlines = [one for one in deadlines if isinstance(one, Deadline)]
        self._failed: dict[tuple[str, str], tuple[int, float]] = {}

    async def prepare(self) -> None:
        """Create the indexes."""
        indexes: defaultdict[type[Document], list[Index]] = defaultdict(list)
        for model, index in [found for one in self._all for found in one.indexes]:
            indexes[model].append(index)
        await create_all((self._store.collection(model), found) for model, found in indexes.items())

    async def run(self) -> None:
        """Act until cancelled."""
        while True:
            seconds = POLL
            try:
                at = now()
                earliest = await self._earliest(LONG_AGO)
                if earliest is not None and earliest <= at:
                    await self.once()
                    earliest = await self._earliest(at)
                if earliest is not None:
                    seconds = min(POLL, max(0.01, (earliest - now()).total_seconds()))
            except (Unavailable, PyMongoError) as error:
                log.warning("deadlines interrupted", service=self._store.service, error=type(error).__name__)
            await asyncio.sleep(seconds)

    async def once(self) -> int:
        """Act on everything that is due now. Returns how many documents changed."""
        acted = sum([await self._all_of(deadline, now()) for deadline in self._deadlines])
        return acted + sum([await self._all_under(closing, now()) for closing in self._closings])

    async def _all_of(self, deadline: Deadline[Any], at: datetime) -> int:
        """Page by page, so that those whose rule fails do not stand before the others."""
        acted, after = 0, None
        while rows := await self._due(deadline, at, after):
            ids = [row["_id"] for row in rows]
            acted += sum(await asyncio.gather(*(self._act(deadline, one, at) for one in ids)))
            after = rows[-1]
        return acted

    async def _all_under(self, closing: Closing[Any, Any], at: datetime) -> int:
        """What waits under each window that has closed; then the window itself."""
        acted, own = 0, closing.as_deadline()
        for window in await self._due(own, at, None):
            ended, left = await self._under(closing, window["_id"], at)
            acted += ended + (0 if left else await self._act(own, window["_id"], at))
        return acted

    async def _under(self, closing: Closing[Any, Any], window: str, at: datetime) -> tuple[int, int]:
        """How many were ended, and how many still wait."""
        ended, left, after = 0, 0, ""
        where = {closing.refers: window, "state": closing.waiting}
        while True:
            async with guarded(self._store.timeout):
                found = self._store.collection(closing.model).find(
                    where | {"_id": {"$gt": after}}, {"_id": 1}, sort=[("_id", 1)], limit=BATCH
                )
                ids = [row["_id"] for row in await found.to_list(None)]
            if not ids:
                return ended, left
            done = sum(await asyncio.gather(*(self._act(closing, one, at) for one in ids)))
            ended, left, after = ended + done, left + len(ids) - done, ids[-1]

    async def _due(
        self, deadline: Deadline[Any], at: datetime, after: dict[str, Any] | None
    ) -> list[dict[str, Any]]:
        field = deadline.field
        where: dict[str, Any] = {field: {"$type": "date", "$lte": at}}
        if after is not None:
            later = [{field: {"$gt": after[field]}}, {field: after[field], "_id": {"$gt": after["_id"]}}]
            where = {"$and": [where, {"$or": later}]}
        async with guarded(self._store.timeout):
            found = self._store.collection(deadline.model).find(
                where, {field: 1}, sort=[(field, 1), ("_id", 1)], limit=BATCH
            )
            return await found.to_list(None)

    async def _act(self, deadline: Deadline[Any] | Closing[Any, Any], document_id: str, at: datetime) -> bool:
        """Whether the document changed. A failure is told, and only this document waits."""
        key = (deadline.name, document_id)
        failures, next_try = self._failed.get(key, (0, 0.0))
        if time.monotonic() < next_try:
            return False
        try:
            with traced(new_traceparent(), None):
                await self._store.change(deadline.model, document_id, lambda found: deadline.act(found, at))
        except (_NothingDue, VersionConflict):  # the latter: others are at it, and the next look is soon
            self._failed.pop(key, None)
            return False
        except Unavailable:
            raise
        except Exception as error:
            pause = PAUSES[min(failures, len(PAUSES) - 1)]
            self._failed[key] = failures + 1, time.monotonic() + pause
            log.error("deadline failed", deadline=deadline.name, id=document_id, error=type(error).__name__)
            DEADLINES.labels(self._store.service, "failed").inc()
            return False
        self._failed.pop(key, None)
        DEADLINES.labels(self._store.service, "acted").inc()
        return True

    async def _earliest(self, after: datetime) -> datetime | None:
        """The earliest instant of all deadlines behind `after`: one look at them all."""
        ends = [*self._deadlines, *(closing.as_deadline() for closing in self._closings)]
        looks = [(end.model.collection, _first(end.field, after)) for end in ends]
        (collection, pipeline), *others = looks
        pipeline += [{"$unionWith": {"coll": name, "pipeline": look}} for name, look in others]
        async with guarded(self._store.timeout):
            rows = await self._store.database[collection].aggregate(pipeline).to_list(None)
        return min((row["at"] for row in rows), default=None)


def _first(field: str, after: datetime) -> list[dict[str, Any]]:
    return [
        {"$match": {field: {"$type": "date", "$gt": after}}},
        {"$sort": {field: 1}},
        {"$limit": 1},
        {"$project": {"_id": 0, "at": f"${field}"}},
    ]
