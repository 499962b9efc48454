"""Reading the pledge dashboard's table together with how far it is."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.notifier.domain.board import COLUMNS, GROUP, SOURCE, TABLE, Board, Reading, Vector
from shared.archive import Archive
from shared.clock import now
from shared.consumers.cursors import Cursors
from shared.consumers.runtime import table_of
from shared.events import PARTITIONS
from shared.store.driver import Bson, Session, guarded, in_transaction
from shared.store.store import Store

_PAST_EVERY_POSITION = 2**62


async def read(store: Store, since: Vector | None) -> Reading:
    """The rows that changed since a vector, or all when that cannot be told. Raises Unavailable.

    Generation, cursors and rows come from one snapshot: a rebuilt table that is swapped in between, or a
    batch that commits, is either wholly in the reading or not at all.
    """
    async with guarded(store.timeout):
        return await in_transaction(store.client, lambda session: _read(store, since, session))


async def _read(store: Store, since: Vector | None, session: Session) -> Reading:
    database, at = store.database, now()
    group = Cursors(database, GROUP, "")
    generation = await group.live(session)
    found = (await group.positions(session)).get(SOURCE, {})
    cursors = tuple(found.get(partition, 0) for partition in range(PARTITIONS))
    parked = await _parked(store, session)
    vector = Vector(generation, _complete(cursors, parked))
    whole = since is None or not vector.reaches(since)
    where = {} if since is None or whole else _changed(since)
    rows = await database[table_of(TABLE, generation)].find(where, session=session).to_list(None)
    return Reading(vector, cursors, sum(row["count"] for row in parked.values()), rows, whole, at)


def _complete(cursors: tuple[int, ...], parked: Mapping[int, Bson]) -> tuple[int, ...]:
    """Up to where every event is in the table: a parked one is not, though the cursor passed it.

    Its row gets its (old) position when it is handled at last; no vector from before is beyond that.
    """
    return tuple(
        min(position, parked[partition]["first"] - 1) if partition in parked else position
        for partition, position in enumerate(cursors)
    )


def _changed(since: Vector) -> Bson:
    return {
        "$or": [
            {"partition": partition, "position": {"$gt": position}}
            for partition, position in enumerate(since.positions)
        ]
    }


async def _parked(store: Store, session: Session) -> Mapping[int, Bson]:
    """By partition: the first position that is parked, and how many are."""
    by_partition: list[Mapping[str, Any]] = [
        {"$match": {"group": GROUP}},
        {"$group": {"_id": "$event.partition", "first": {"$min": "$position"}, "count": {"$sum": 1}}},
    ]
    rows = await store.database["parked"].aggregate(by_partition, session=session).to_list(None)
    return {row["_id"]: row for row in rows}


async def oldest_unread(store: Store, cursors: tuple[int, ...]) -> datetime | None:
    """When the oldest event happened that the archive holds beyond the cursors. Raises Unavailable."""
    archive = Archive(store.client, store.database.name.removesuffix(f"_{store.service}"), SOURCE)
    async with guarded(store.timeout):
        heads = await asyncio.gather(
            *(
                archive.read_partition(partition, position, _PAST_EVERY_POSITION, 1)
                for partition, position in enumerate(cursors)
            )
        )
    return min((event.time for head in heads for event in head), default=None)


async def shown(store: Store) -> dict[str, dict[str, int]]:
    """What the dashboard shows, for the audit: `<county>:<day>` -> its columns."""
    board = Board()
    board.apply(await read(store, None))
    return {f"{cell.county}:{cell.day}": cell.model_dump(include=set(COLUMNS)) for cell in board.cells}
