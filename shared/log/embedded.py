"""The embedded log: consumers read the archives in MongoDB directly; nothing needs publishing."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from weakref import WeakSet

from shared.archive import Archive, Archives
from shared.events import PARTITIONS, Envelope
from shared.log.interface import Cursor, LoadCursors, Partition, Slice
from shared.store.lease import Lease

POLL = 0.1
"""Seconds between looks when another process writes the archive; in this one a signal wakes us."""
LEASE = 3.0


class EmbeddedLog:
    """Reads archives; a signal in the process wakes the subscriptions."""

    name = "embedded"

    def __init__(self, archives: Archives, instance: str) -> None:
        self._archives = archives
        self._instance = instance
        self._signals: WeakSet[asyncio.Event] = WeakSet()

    def subscribe(self, group: str, sources: Sequence[str], cursors: LoadCursors) -> "EmbeddedSubscription":
        """One process at a time reads for a group: the others wait for its lease."""
        leases = self._archives.client[f"{self._archives.prefix}_log"]["leases"]
        lease = Lease(leases, f"group:{group}", self._instance, LEASE)
        signal = asyncio.Event()
        self._signals.add(signal)
        archives = [self._archives[source] for source in sources]
        return EmbeddedSubscription(archives, cursors, lease, signal)

    def archived(self, source: str, head: int) -> None:
        """Wake the subscriptions."""
        for signal in self._signals:
            signal.set()

    async def publish_forever(self, source: str, lease: Lease) -> None:
        """The archive is the log: nothing to bring anywhere."""
        await asyncio.Event().wait()

    async def unpublished(self, source: str) -> int:
        """None: the archive is the log."""
        return 0

    async def healthy(self) -> bool:
        """The log is MongoDB, whose health the store reports."""
        return True

    async def close(self) -> None:
        """Nothing is held open."""


class EmbeddedSubscription:
    """Scans each archive once for all partitions."""

    def __init__(
        self, archives: Sequence[Archive], cursors: LoadCursors, lease: Lease, signal: asyncio.Event
    ) -> None:
        self._archives = archives
        self._load = cursors
        self._lease = lease
        self._signal = signal
        self._scanned: dict[str, int] = {}
        self._positions: dict[Partition, int] = {}

    async def fetch(self, limit: int, wait: float) -> list[Slice]:
        """See `Subscription.fetch`."""
        if (not self._lease.held or self._lease.due) and not await self._lease.acquire():
            self._scanned.clear()
            await asyncio.sleep(min(wait, LEASE / 6))
            return []
        if not self._scanned:
            await self.rewind()
        self._signal.clear()
        slices = await self._scan(limit)
        if not slices:
            with suppress(asyncio.TimeoutError):
                async with asyncio.timeout(min(wait, POLL)):
                    await self._signal.wait()
        return slices

    async def _scan(self, limit: int) -> list[Slice]:
        slices: list[Slice] = []
        for archive in self._archives:
            events = await archive.read(self._scanned[archive.source], limit)
            if events:
                self._scanned[archive.source] = events[-1].position
                slices += self._slices(events)
        return slices

    def _slices(self, events: list[Envelope]) -> list[Slice]:
        by_partition: dict[int, list[Envelope]] = defaultdict(list)
        for event in events:
            by_partition[event.partition].append(event)
        scanned, source = events[-1].position, events[-1].source
        slices = []
        for partition, found in by_partition.items():
            after = self._positions[source, partition]
            if new := [event for event in found if event.position > after]:
                slices.append(Slice(source, partition, after, new, scanned))
                self._positions[source, partition] = new[-1].position
        return slices

    async def rewind(self) -> None:
        """See `Subscription.rewind`. All partitions of one scan commit together, so the furthest counts."""
        for archive in self._archives:
            keys: list[Partition] = [(archive.source, partition) for partition in range(PARTITIONS)]
            cursors = await self._load(keys)
            known = [cursors.get(key, Cursor()) for key in keys]
            resumes = [cursor.resume for cursor in known if cursor.resume is not None]
            self._scanned[archive.source] = max(resumes, default=min(cursor.position for cursor in known))
            self._positions.update({key: cursor.position for key, cursor in zip(keys, known, strict=True)})

    async def stalled(self) -> bool:
        """See `Subscription.stalled`. A reader of the archive itself cannot be."""
        return False

    async def close(self) -> None:
        """See `Subscription.close`."""
        await self._lease.release()
