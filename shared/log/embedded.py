"""The embedded log: consumers read the archives in MongoDB directly; nothing needs publishing."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from weakref import WeakSet

from shared.log.archive import Archive, Archives
from shared.log.interface import Cursor, LoadCursors, Partition, Slice
from shared.model.events import PARTITIONS, Envelope
from shared.mongo.lease import Lease

POLL = 0.1
"""Seconds within which we see what another process archives, by one look for all; ours is signalled."""
POLL_ALONE = 6.0
"""The same where no other process does."""
LEASE = 3.0


class EmbeddedLog:
    """Reads archives; a signal in the process wakes the subscriptions. `alone`: no other process archives."""

    name = "embedded"

    def __init__(self, archives: Archives, instance: str, *, alone: bool = False) -> None:
        self._archives = archives
        self._instance = instance
        self.poll = POLL_ALONE if alone else POLL
        self._leases = archives.client[f"{archives.prefix}_log"]["leases"]
        self._subscriptions: WeakSet[EmbeddedSubscription] = WeakSet()
        self._heads: dict[str, int] = {}
        self._looked: dict[str, float] = {}
        self._renewing = asyncio.Lock()

    def subscribe(self, group: str, sources: Sequence[str], cursors: LoadCursors) -> "EmbeddedSubscription":
        """One process at a time reads for a group: the others wait for its lease."""
        lease = Lease(self._leases, f"group:{group}", self._instance, LEASE)
        archives = [self._archives[source] for source in sources]
        subscription = EmbeddedSubscription(self, archives, cursors, lease)
        self._subscriptions.add(subscription)
        return subscription

    def archived(self, source: str, head: int) -> None:
        """Wake the subscriptions."""
        self._heads[source] = max(head, self._heads.get(source, 0))
        for subscription in self._subscriptions:
            subscription.signal.set()

    async def head(self, archive: Archive) -> int:
        """Where an archive ends, as of a moment ago: one look for all who ask."""
        looked = self._looked.get(archive.source, 0.0)
        if time.monotonic() - looked > self.poll / 2:
            self._looked[archive.source] = time.monotonic()
            known, found = self._heads.get(archive.source, 0), await archive.visible_head()
            if found > known:
                self.archived(archive.source, found)
        return self._heads.get(archive.source, 0)

    async def keep(self, lease: Lease) -> bool:
        """Take or renew the lease of a subscription; with it, by one write, all that are held here."""
        async with self._renewing:
            if lease.held and not lease.due:
                return True
            if lease.held:
                await Lease.renew([s.lease for s in self._subscriptions if s.lease.held])
                if not lease.due:
                    return True
            return await lease.acquire()

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
        self, log: EmbeddedLog, archives: Sequence[Archive], cursors: LoadCursors, lease: Lease
    ) -> None:
        self._log = log
        self._archives = archives
        self._load = cursors
        self.lease = lease
        self.signal = asyncio.Event()
        """Something may be new."""
        self._scanned: dict[str, int] = {}
        self._positions: dict[Partition, int] = {}

    async def fetch(self, limit: int, wait: float) -> list[Slice]:
        """See `Subscription.fetch`."""
        if (not self.lease.held or self.lease.due) and not await self._log.keep(self.lease):
            self._scanned.clear()
            await asyncio.sleep(min(wait, LEASE / 6))
            return []
        if not self._scanned:
            await self.rewind()
        self.signal.clear()
        slices = await self._scan(limit)
        if not slices:
            with suppress(asyncio.TimeoutError):
                async with asyncio.timeout(min(wait, self._log.poll)):
                    await self.signal.wait()
        return slices

    async def _scan(self, limit: int) -> list[Slice]:
        slices: list[Slice] = []
        for archive in self._archives:
            after = self._scanned[archive.source]
            if await self._log.head(archive) <= after:
                continue
            events = await archive.read(after, limit)
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
        await self.lease.release()
