"""The tables of a consumer group: what its handlers derive from events, in generations that a replay swaps.

A *followed* table can be asked what changed since an earlier reading. Its rows say which lane they are in
(the partition of the events they count) and carry a stamp: the number of the commit, counted by lane, that
touched them last. A reading is as far as the lanes are, so a reader that comes back names twelve numbers,
however many services the group reads and whichever process it asks.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

from shared.consumers.cursors import Cursors
from shared.log.archive import Archive
from shared.model.clock import now
from shared.model.documents import Index
from shared.model.events import PARTITIONS
from shared.mongo.driver import Bson, Database, Session, UpdateOne, guarded, in_transaction
from shared.mongo.indexes import create_all
from shared.store.store import Store

LANE, STAMP = "lane", "stamp"
"""The fields of a followed table's row."""
_FOLLOWED = Index("stamps", [(LANE, 1), (STAMP, 1)])


def table_of(table: str, generation: int) -> str:
    """The collection of a table in a generation."""
    return f"{table}@{generation}" if generation else table


def stamps_of(table: str, generation: int) -> str:
    """The collection that counts the commits of a followed table."""
    return f"{table_of(table, generation)}.stamps"


Tables = Mapping[str, Sequence[Index]]
"""The tables of a group, each with its indexes."""


async def prepare_tables(store: Store, tables: Tables, followed: Collection[str], generation: int) -> None:
    """Create the indexes of a group's tables."""
    await create_all(
        (store.database[table_of(table, generation)], [*indexes, *([_FOLLOWED] if table in followed else [])])
        for table, indexes in tables.items()
    )


async def drop_tables(store: Store, tables: Tables, generation: int) -> None:
    """Drop a generation that is over, or was never finished."""
    for table in tables:
        await store.database.drop_collection(table_of(table, generation))
        await store.database.drop_collection(stamps_of(table, generation))


async def next_stamps(
    database: Database, stamps: str, lanes: Collection[int], session: Session
) -> dict[int, int]:
    """The number of this commit in each of some lanes; whoever commits in one of them meanwhile waits."""
    collection = database[stamps]
    counted = [UpdateOne({"_id": lane}, {"$inc": {STAMP: 1}}, upsert=True) for lane in lanes]
    await collection.bulk_write(counted, ordered=False, session=session)
    rows = collection.find({"_id": {"$in": list(lanes)}}, session=session)
    return {row["_id"]: row[STAMP] async for row in rows}


class Stamps(NamedTuple):
    """How far a reading is: the generation of the table, and the last commit of each lane. Written
    `generation.l0.l1.…`; opaque to clients."""

    generation: int
    lanes: tuple[int, ...]

    def __str__(self) -> str:
        return ".".join(map(str, (self.generation, *self.lanes)))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None when it is none of ours."""
        parts = text.split(".")
        if len(parts) != 1 + PARTITIONS or not all(
            p.isascii() and p.isdigit() and len(p) < 19 for p in parts
        ):
            return None
        generation, *lanes = map(int, parts)
        return cls(generation, tuple(lanes))

    def reaches(self, earlier: "Stamps") -> bool:
        """Whether what changed from `earlier` to here can be told."""
        return self.generation == earlier.generation and all(
            then <= here for then, here in zip(earlier.lanes, self.lanes, strict=True)
        )


Positions = Mapping[str, Mapping[int, int]]
"""For each source, the position of each partition."""


class Reading(NamedTuple):
    """What one look at a followed table found, all of one instant."""

    stamps: Stamps
    rows: Sequence[Mapping[str, Any]]
    whole: bool
    """Whether `rows` are all rows, and not those that changed since the reading before."""
    cursors: Positions
    """How far the group has read."""
    parked: int
    """Events that could not be handled: they are in no row."""
    at: datetime


async def read_table(store: Store, group: str, table: str, since: Stamps | None = None) -> Reading:
    """The rows of a followed table that changed since a reading, or all when that cannot be told.

    Generation, cursors, stamps and rows come from one snapshot: a rebuilt table that is swapped in between,
    or a batch that commits, is either wholly in the reading or not at all. Raises Unavailable.
    """

    async def read(session: Session) -> Reading:
        at, cursors = now(), Cursors(store.database, group, "")
        generation = await cursors.live(session)
        stamps = await _stamps(store.database, table, generation, session)
        whole = since is None or not stamps.reaches(since)
        where = {} if since is None or whole else _changed(since)
        rows = await store.database[table_of(table, generation)].find(where, session=session).to_list(None)
        parked = await store.database["parked"].count_documents({"group": group}, session=session)
        return Reading(stamps, rows, whole, await cursors.positions(session), parked, at)

    async with guarded(store.timeout):
        return await in_transaction(store.client, read)


async def _stamps(database: Database, table: str, generation: int, session: Session) -> Stamps:
    rows = await database[stamps_of(table, generation)].find({}, session=session).to_list(None)
    found = {row["_id"]: row[STAMP] for row in rows}
    return Stamps(generation, tuple(found.get(lane, 0) for lane in range(PARTITIONS)))


def _changed(since: Stamps) -> Bson:
    return {"$or": [{LANE: lane, STAMP: {"$gt": stamp}} for lane, stamp in enumerate(since.lanes)]}


async def oldest_unread(store: Store, sources: Sequence[str], cursors: Positions) -> datetime | None:
    """When the oldest event happened that the archives hold beyond these cursors. Raises Unavailable."""
    prefix = store.database.name.removesuffix(f"_{store.service}")
    async with guarded(store.timeout):
        heads = await asyncio.gather(
            *(
                Archive(store.client, prefix, source).first_behind(cursors.get(source, {}))
                for source in sources
            )
        )
    return min((event.time for event in heads if event is not None), default=None)
