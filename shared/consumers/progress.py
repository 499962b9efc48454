"""What waits where, and who stands still: measured from the databases, so that no cause can hide it.

A group stands still when an event that it has to read is the next one for STANDS seconds: its subscription
may be renewed in a loop, its handler hang, another process hold all partitions and do nothing.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import structlog

from shared.consumers.cursors import positions_of_all
from shared.consumers.runtime import Runtime
from shared.log.archive import Archives
from shared.log.interface import Log
from shared.log.relay import pending
from shared.model.clock import now
from shared.model.problems import Unavailable
from shared.mongo.driver import PyMongoError
from shared.store.store import Store
from shared.telemetry import (
    CONSUMER_LAG,
    CONSUMER_STANDS,
    PUBLISH_LAG,
    RELAY_LAG,
    RELAY_LAG_SECONDS,
)

MEASURE = 5.0
"""Seconds between two looks."""
AT_REST = 3
"""Every how many looks a relay is looked at that had nothing to do."""
STANDS = 15.0
"""Seconds for which a group may not get on although it has something to read: with two looks, within 30 s."""
LOOK_SECONDS = 5.0
log = structlog.get_logger()
Where = tuple[str, str]
"""A consumer group, and the service whose events it reads."""


class Progress:
    """The measures of one process."""

    def __init__(
        self, stores: Mapping[str, Store], runtimes: Sequence[Runtime], archives: Archives, log_: Log
    ) -> None:
        self._stores = stores
        self._runtimes = runtimes
        self._archives = archives
        self._log = log_
        self._next: dict[Where, tuple[int, float]] = {}
        """The event that each has to read next, and since when (monotonic)."""
        self._resting: dict[str, int] = {}

    @property
    def standing_still(self) -> list[str]:
        """The groups that have something to read and do not get on."""
        at = time.monotonic()
        return sorted({group for (group, _), (_, since) in self._next.items() if at - since >= STANDS})

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            for service, store in self._stores.items():
                with suppress(PyMongoError, Unavailable, TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._relay(service, store)
                        await self._groups(store, [r for r in self._runtimes if r.store is store])
            await asyncio.sleep(MEASURE)

    async def _relay(self, service: str, store: Store) -> None:
        """What waits in the documents and what waits for Kafka, whoever is the relay."""
        rested = self._resting.get(service, 0)
        if 0 < rested < AT_REST and not store.dirty:
            self._resting[service] = rested + 1
            return
        waiting, oldest = await pending(store)
        unpublished = await self._log.unpublished(service)
        RELAY_LAG.labels(service).set(waiting)
        RELAY_LAG_SECONDS.labels(service).set(_age(oldest))
        PUBLISH_LAG.labels(service).set(unpublished)
        self._resting[service] = 0 if waiting or unpublished else 1

    async def _groups(self, store: Store, runtimes: Sequence[Runtime]) -> None:
        if not runtimes:
            return
        positions = await positions_of_all(store.database)
        for runtime in runtimes:
            group = runtime.consumer.group
            for source in runtime.consumer.sources:
                await self._group((group, source), positions.get(group, {}).get(source, {}))

    async def _group(self, where: Where, positions: Mapping[int, int]) -> None:
        archive = self._archives[where[1]]
        heads, upcoming, lag = await archive.heads(MEASURE / 2), None, 0
        if any(head > positions.get(partition, 0) for partition, head in heads.items()):
            upcoming, lag = await archive.next_after(positions), await archive.lag(positions)
        CONSUMER_LAG.labels(*where).set(lag)
        CONSUMER_STANDS.labels(*where).set(self._stood(where, upcoming))

    def _stood(self, where: Where, upcoming: int | None) -> float:
        """For how many seconds it has not got on."""
        if upcoming is None:
            self._next.pop(where, None)
            return 0.0
        known, since = self._next.get(where, (None, 0.0))
        if known != upcoming:
            since = time.monotonic()
            self._next[where] = upcoming, since
        stood = time.monotonic() - since
        if stood >= STANDS:
            log.error("group stands still", group=where[0], source=where[1], next=upcoming, seconds=stood)
        return stood


def _age(oldest: datetime | None) -> float:
    return (now() - oldest).total_seconds() if oldest else 0.0
