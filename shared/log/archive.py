"""The archive of a service: every event it ever published, numbered 1, 2, 3, … without a gap.

It is the embedded log, what a wiped Kafka is refilled from, and what a new consumer reads when Kafka's
retention has passed. Two unique indexes fence relays that lost their lease: a position is taken once,
and an event is archived once.
"""

import time
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.model.documents import Index
from shared.model.events import PARTITIONS, Envelope
from shared.mongo.driver import MAJORITY, Bson, BulkWriteError, Client
from shared.mongo.indexes import create_indexes

TAIL = 5000
"""Events kept in memory for whoever reads on from there."""
_INDEXES = (
    Index("event", [("id", 1)], unique=True),
    Index("partition", [("p", 1), ("_id", 1)]),
    Index("cause", [("cause", 1)], where={"cause": {"$type": "string"}}),
)


def partition_of(subject: str) -> int:
    """The partition of a key: CRC-32, as librdkafka's `consistent` partitioner does it."""
    return zlib.crc32(subject.encode()) % PARTITIONS


class Fenced(Exception):
    """Another relay appended in between."""


class Tail:
    """The newest events that this process archived: who reads on from here need not ask MongoDB."""

    def __init__(self) -> None:
        self._events: list[Envelope] = []

    def extend(self, events: Sequence[Envelope]) -> None:
        """These were archived, acknowledged by a majority."""
        if self._events and self._events[-1].position + 1 != events[0].position:
            self._events.clear()  # another process archived in between
        self._events += events
        del self._events[:-TAIL]

    def after(self, position: int, limit: int) -> list[Envelope]:
        """The next events behind a position; none when that is not known here."""
        at = position + 1 - self._events[0].position if self._events else -1
        return self._events[at : at + limit] if at >= 0 else []


class Archive:
    """The archive of the service `source`, in the log database that all services may read."""

    def __init__(self, client: Client, prefix: str, source: str) -> None:
        self.source = source
        self._tail = Tail()
        self._heads: dict[int, int] = {}
        self._heads_at = 0
        self._heads_looked = float("-inf")
        self._collection = client[f"{prefix}_log"][f"archive_{source}"].with_options(read_concern=MAJORITY)

    async def prepare(self) -> None:
        """Create the indexes."""
        await create_indexes(self._collection, _INDEXES)

    async def head(self) -> int:
        """The last position; 0 when empty. From the primary's newest state, as appending needs it."""
        newest = await self._collection.with_options(read_concern=None).find_one(
            {}, {"_id": 1}, sort=[("_id", -1)]
        )
        return newest["_id"] if newest else 0

    async def visible_head(self) -> int:
        """The last position that readers see."""
        newest = await self._collection.find_one({}, {"_id": 1}, sort=[("_id", -1)])
        return newest["_id"] if newest else 0

    async def append(self, after: int, entries: Sequence[Bson]) -> int:
        """Number `entries` from `after` + 1 and store them, majority. Returns the new head.

        Raises Fenced when a position is taken or an event is archived already: nothing is lost, look
        again with `known` and `head`.
        """
        rows = [
            {"_id": position, "p": partition_of(entry["subject"]), **entry}
            for position, entry in enumerate(entries, after + 1)
        ]
        try:
            await self._collection.insert_many(rows, ordered=True)
        except BulkWriteError as error:
            raise Fenced from error
        self._tail.extend([self._envelope(row) for row in rows])
        return after + len(rows)

    async def known(self, event_ids: Sequence[str]) -> set[str]:
        """Which of these events are archived already."""
        found = self._collection.with_options(read_concern=None).find(
            {"id": {"$in": list(event_ids)}}, {"id": 1}
        )
        return {row["id"] for row in await found.to_list(None)}

    async def read(self, after: int, limit: int) -> list[Envelope]:
        """The next events in order. Stops before a position that is not visible yet."""
        if newest := self._tail.after(after, limit):
            return newest
        rows = await self._collection.find({"_id": {"$gt": after}}, sort=[("_id", 1)], limit=limit).to_list(
            None
        )
        while rows and rows[-1]["_id"] != after + len(rows):
            rows.pop()
        return [self._envelope(row) for row in rows]

    async def read_partition(self, partition: int, after: int, before: int, limit: int) -> list[Envelope]:
        """The next events of one partition, between two positions (both excluded)."""
        where = {"p": partition, "_id": {"$gt": after, "$lt": before}}
        rows = await self._collection.find(where, sort=[("_id", 1)], limit=limit).to_list(None)
        return [self._envelope(row) for row in rows]

    async def read_on(self, partition: int, after: int, limit: int) -> list[Envelope]:
        """The next events of one partition, as far as it reaches now."""
        newest = await self._collection.find_one({"p": partition}, {"_id": 1}, sort=[("_id", -1)])
        # Up to an end that was seen: behind it a scan may come upon events whose predecessors it has missed.
        if newest is None or newest["_id"] <= after:
            return []
        return await self.read_partition(partition, after, newest["_id"] + 1, limit)

    async def ids(self, positions: Sequence[int]) -> dict[int, str]:
        """The ids of the events at these positions; without those that there are not."""
        rows = self._collection.find({"_id": {"$in": list(positions)}}, {"id": 1})
        return {row["_id"]: row["id"] for row in await rows.to_list(None)}

    async def heads(self, max_age: float = 0) -> dict[int, int]:
        """The last position of each partition that has events, as it was at most `max_age` seconds ago."""
        if time.monotonic() - self._heads_looked <= max_age:
            return self._heads
        self._heads_looked = time.monotonic()
        head = await self.visible_head()
        if head != self._heads_at:
            # Sorted so, the index alone answers, with one look for each partition.
            by_partition: list[Bson] = [
                {"$sort": {"p": -1, "_id": -1}},
                {"$group": {"_id": "$p", "head": {"$first": "$_id"}}},
            ]
            rows = await self._collection.aggregate(by_partition).to_list(None)
            self._heads = {row["_id"]: row["head"] for row in rows}
            self._heads_at = head
        return self._heads

    async def first_behind(self, positions: Mapping[int, int]) -> Envelope | None:
        """The first event behind these positions of a consumer (partition -> position); None without any."""
        behind = [{"p": number, "_id": {"$gt": positions.get(number, 0)}} for number in range(PARTITIONS)]
        row = await self._collection.find_one({"$or": behind}, sort=[("_id", 1)])
        return self._envelope(row) if row else None

    async def lag(self, positions: Mapping[int, int]) -> int:
        """How many events lie behind these positions of a consumer (partition -> position)."""
        behind = {partition: positions.get(partition, 0) for partition in range(PARTITIONS)}
        heads = await self.heads()
        where = [
            {"p": partition, "_id": {"$gt": position}}
            for partition, position in behind.items()
            if heads.get(partition, 0) > position
        ]
        counts = [await self._collection.count_documents(one, limit=1_000_000) for one in where]
        return sum(counts)

    async def next_after(self, positions: Mapping[int, int]) -> int | None:
        """The first event that lies behind these positions of a consumer; None when there is none."""
        behind = [
            {"p": partition, "_id": {"$gt": positions.get(partition, 0)}} for partition in range(PARTITIONS)
        ]
        first = await self._collection.find_one({"$or": behind}, {"_id": 1}, sort=[("_id", 1)])
        return first["_id"] if first else None

    async def find(self, event_id: str) -> Envelope | None:
        """The event with this id."""
        row = await self._collection.find_one({"id": event_id})
        return self._envelope(row) if row else None

    async def caused_by(self, event: Envelope) -> list[Envelope]:
        """The events that the handling of `event` led to."""
        rows = await self._collection.find(
            {"cause": {"$eq": event.id, "$type": "string"}}, limit=100
        ).to_list(None)
        return [self._envelope(row) for row in rows]

    async def first_since(self, instant: datetime) -> int:
        """The first position at or after an instant; past the head when there is none."""
        row = await self._collection.find_one({"time": {"$gte": instant}}, {"_id": 1}, sort=[("_id", 1)])
        return row["_id"] if row else await self.head() + 1

    def _envelope(self, row: Bson) -> Envelope:
        return Envelope(
            row["id"],
            row["type"],
            row["subject"],
            row["sequence"],
            row["time"],
            row["data"],
            row["division"],
            row["traceparent"],
            row.get("cause"),
            self.source,
            row["_id"],
            row["p"],
        )


class Archives(dict[str, Archive]):
    """The archives of this process by service: one of each, so that readers find what was just written."""

    def __init__(self, client: Client, prefix: str) -> None:
        self.client = client
        self.prefix = prefix

    def __missing__(self, source: str) -> Archive:
        archive = self[source] = Archive(self.client, self.prefix, source)
        return archive
