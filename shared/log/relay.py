"""The relay: pending events of a service's documents -> archive -> cleared.

A lease makes one replica the relay of a service. It is woken by a local signal or a change stream; a
sweep finds what neither told (a crash, a lost oplog position), so both may fail without harm.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog

from shared.log.archive import Archive, Fenced
from shared.model.documents import Document
from shared.model.problems import Unavailable
from shared.mongo.driver import Bson, PyMongoError, guarded
from shared.mongo.lease import Lease
from shared.store.store import Store
from shared.telemetry import RELAYED

BATCH = 1000
"""Documents read at a time."""
SWEEP = 1.0
"""Seconds after which documents are looked through even when nothing woke the relay."""
SWEEP_ALONE = 4.0
"""The same where nobody else commits: only a write that was acknowledged too late is found by it."""
SWEEP_SHARED = 0.05
"""The same while we are busy, where other processes commit too."""
PENDING = {"outbox.0": {"$exists": True}}
"""Documents with events that are not archived yet."""
log = structlog.get_logger()


def _look(model: type[Document]) -> list[Bson]:
    """A pipeline that tells whether a document of this class has pending events."""
    found = {"_id": 0, "in": {"$literal": model.collection}}
    return [{"$match": PENDING}, {"$sort": {"outbox.time": 1}}, {"$limit": 1}, {"$project": found}]


async def pending(store: Store) -> tuple[int, datetime | None]:
    """How many events of a service are committed and not archived, and when the oldest was."""
    events, oldest = {"$sum": {"$size": "$outbox"}}, {"$min": {"$min": "$outbox.time"}}
    count = {"_id": None, "events": events, "oldest": oldest}
    rows = await _of_all(store, lambda _: [{"$match": PENDING}, {"$group": count}])
    return sum(row["events"] for row in rows), min((row["oldest"] for row in rows), default=None)


async def _of_all(store: Store, look: Callable[[type[Document]], list[Bson]]) -> list[Bson]:
    """What a pipeline finds in each collection of a service: one round trip for all. Raises Unavailable."""
    looks = [(model.collection, look(model)) for model in store.models]
    if not looks:
        return []
    [(first, pipeline), *others] = looks
    pipeline += [{"$unionWith": {"coll": name, "pipeline": other}} for name, other in others]
    async with guarded(store.timeout):
        return await store.database[first].aggregate(pipeline).to_list(None)


class Relay:
    """Relays one service. `run` until cancelled; `on_archived` is called with each new head.

    `watch`: commits happen in other processes too, so a change stream wakes it as well.
    """

    def __init__(
        self, store: Store, archive: Archive, lease: Lease, on_archived: Callable[[int], None], *, watch: bool
    ) -> None:
        self._store = store
        self._archive = archive
        self.lease = lease
        self._on_archived = on_archived
        self._head = 0
        self._watch = watch
        self._pass_began: Any = None
        self._swept = 0.0
        self._elsewhere: asyncio.Task[None] | None = None
        self._unsure = True
        """Whether something may be archived that is not cleared: after a takeover or a failure."""

    async def run(self) -> None:
        """Relay for as long as the lease is ours; wait for it when it is not."""
        while True:
            try:
                if not await self._keep_lease():
                    self._unsure, self._swept = True, 0.0
                    await asyncio.sleep(self.lease.seconds / 6)
                    continue
                if not await self.once():
                    await self._idle()
            except (Fenced, Unavailable, PyMongoError, OSError) as error:
                self._unsure, self._swept = True, 0.0
                log.warning("relay interrupted", service=self._store.service, error=type(error).__name__)
                await asyncio.sleep(0.2)

    async def _keep_lease(self) -> bool:
        if self.lease.held and not self.lease.due:
            return True
        return await self.lease.acquire()

    async def once(self) -> int:
        """One pass over the documents with pending events. Returns how many events were relayed."""
        relayed = 0
        for model in await self._where_to_look():
            relayed += await self._drain(model)
        self._unsure = self._unsure and not self.lease.held
        return relayed

    async def _drain(self, model: type[Document]) -> int:
        """All that waits in one class. While a batch is archived, the one before it is cleared and the
        one behind it read."""
        relayed = 0
        waiting = self._waiting(model)
        reading: asyncio.Future[list[Bson]] = asyncio.ensure_future(waiting.to_list(BATCH))
        clearing: asyncio.Future[None] = asyncio.ensure_future(asyncio.sleep(0))
        try:
            while self.lease.held and (documents := await reading):
                reading = asyncio.ensure_future(waiting.to_list(BATCH))
                entries = await self._append(documents)
                await clearing
                clearing = asyncio.ensure_future(self._clear(model, documents, entries))
                relayed += len(entries)
                await self._keep_lease()
            await clearing
        finally:
            reading.cancel()
            await asyncio.gather(reading, clearing, return_exceptions=True)
        return relayed

    async def _where_to_look(self) -> Collection[type[Document]]:
        """Where this process committed; everywhere, when that was not done for a while."""
        dirty, self._store.dirty = self._store.dirty, set()
        self._store.changed.clear()
        recently = time.monotonic() - self._swept < (SWEEP_SHARED if self._watch else SWEEP_ALONE)
        if recently and (dirty or not self._watch):
            return dirty
        if self._watch and not dirty:  # when nothing is found, we wait for changes from here on
            self._pass_began = (await self._store.database.command("ping")).get("operationTime")
        self._swept = time.monotonic()
        return dirty | await self._waiting_anywhere()

    async def _waiting_anywhere(self) -> set[type[Document]]:
        """The classes with pending events, whoever committed them: one round trip for all."""
        rows = await _of_all(self._store, _look)
        waiting = {row["in"] for row in rows}
        return {model for model in self._store.models if model.collection in waiting}

    def _waiting(self, model: type[Document]) -> Any:
        """A cursor over the documents with pending events, oldest first; each comes once."""
        return self._store.collection(model).find(
            PENDING, {"outbox": 1}, sort=[("outbox.time", 1)], batch_size=BATCH
        )

    async def _append(self, documents: list[Bson]) -> list[Bson]:
        """Archive the events of some documents. Returns them all, archived now or before."""
        entries = [entry for document in documents for entry in document["outbox"]]
        fresh = await self._not_archived(entries) if self._unsure else entries
        if fresh:
            self._head = await self._archive.append(self._head, fresh)
            self._on_archived(self._head)
        RELAYED.labels(self._store.service).inc(len(fresh))
        return entries

    async def _not_archived(self, entries: list[Bson]) -> list[Bson]:
        known = await self._archive.known([entry["id"] for entry in entries])
        self._head = await self._archive.head()
        return [entry for entry in entries if entry["id"] not in known]

    async def _clear(self, model: type[Document], documents: list[Bson], entries: list[Bson]) -> None:
        """Take exactly what was archived out of the documents; what came since stays."""
        await self._store.collection(model).update_many(
            {"_id": {"$in": [document["_id"] for document in documents]}},
            {"$pull": {"outbox": {"id": {"$in": [entry["id"] for entry in entries]}}}},
        )

    async def _idle(self) -> None:
        """Wait until something changed here or in another replica, or until a sweep is due."""
        sweep = min(SWEEP, self.lease.seconds / 3)
        here = asyncio.create_task(self._store.changed.wait())
        waits: set[asyncio.Task[Any]] = {here}
        if self._watch:
            if self._elsewhere is None or self._elsewhere.done():
                self._elsewhere = asyncio.create_task(self._change(sweep))
            waits.add(self._elsewhere)
        try:
            await asyncio.wait(waits, timeout=sweep, return_when=asyncio.FIRST_COMPLETED)
        finally:
            here.cancel()

    async def _change(self, seconds: float) -> None:
        """Until a document of this service changed since the last pass began (an empty one)."""
        milliseconds = int(seconds * 1000)
        with suppress(PyMongoError):  # a lost oplog position and the like: the sweep is soon enough
            async with self._store.database.watch(
                [{"$match": {"operationType": {"$in": ["insert", "update"]}}}, {"$project": {"_id": 1}}],
                start_at_operation_time=self._pass_began,
                max_await_time_ms=milliseconds,
            ) as changes:
                await changes.try_next()
