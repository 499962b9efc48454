"""The cursors of a consumer group: they move in the same transaction as the effects, or not at all.

A cursor is moved by compare-and-set on the position it had when its batch was read. Two members that
both believe they own a partition (a stalled one and its successor) cannot both commit a batch: the
second finds the cursor moved. That, and positions that only grow, is all there is to exactly-once here;
no list of seen event ids is kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.log.interface import Cursor, Partition, Slice
from shared.model.events import PARTITIONS
from shared.mongo.driver import Database, ReturnDocument, Session, UpdateOne


class CursorMoved(Exception):
    """Another member committed this part, or the group was rebuilt: read the cursors again."""


class Cursors:
    """The cursors of one group in its service's database."""

    def __init__(self, database: Database, group: str, log_name: str) -> None:
        self._cursors = database["cursors"]
        self._generations = database["generations"]
        self._group = group
        self._resume = f"resume_{log_name}"
        self.generation = 0

    def _id(self, key: Partition, generation: int) -> str:
        return f"{self._group}@{generation}/{key[0]}/{key[1]}"

    async def load(self, keys: Sequence[Partition]) -> Mapping[Partition, Cursor]:
        """The cursors of some partitions; those that never were start at position 0."""
        self.generation = await self.live()
        return await self.of_generation(keys, self.generation)

    async def of_generation(self, keys: Sequence[Partition], generation: int) -> Mapping[Partition, Cursor]:
        """The cursors of a generation, made where missing."""
        ids = {self._id(key, generation): key for key in keys}
        new = [
            UpdateOne(
                {"_id": cursor_id},
                {
                    "$setOnInsert": {
                        "group": self._group,
                        "source": key[0],
                        "partition": key[1],
                        "position": 0,
                    }
                },
                upsert=True,
            )
            for cursor_id, key in ids.items()
        ]
        await self._cursors.bulk_write(new, ordered=False)
        rows = await self._cursors.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {ids[row["_id"]]: Cursor(row["position"], row.get(self._resume)) for row in rows}

    async def advance(self, slices: Sequence[Slice], session: Session) -> None:
        """Move the cursors over `slices` inside the transaction. Raises CursorMoved."""
        moves = [
            UpdateOne(
                {"_id": self._id((s.source, s.partition), self.generation), "position": s.after},
                {
                    "$set": {"position": s.events[-1].position}
                    | ({} if s.resume is None else {self._resume: s.resume})
                },
            )
            for s in slices
        ]
        result = await self._cursors.bulk_write(moves, session=session)
        if result.matched_count != len(moves):
            raise CursorMoved

    async def live(self, session: Session | None = None) -> int:
        """The generation that is live."""
        row = await self._generations.find_one({"_id": self._group}, session=session)
        return row["generation"] if row else 0

    async def hold(self, session: Session) -> int:
        """The live generation, which stays so until the transaction ends: a switch conflicts with it."""
        row = await self._generations.find_one_and_update(
            {"_id": self._group},
            {"$setOnInsert": {"generation": 0}, "$inc": {"held": 1}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        generation: int = row["generation"]
        return generation

    async def positions(self, session: Session | None = None) -> dict[str, dict[int, int]]:
        """For each source, the position of each partition: how far the group is."""
        prefix = f"{self._group}@{await self.live(session)}/"
        found: dict[str, dict[int, int]] = {}
        async for cursor in self._cursors.find({"group": self._group}, session=session):
            if cursor["_id"].startswith(prefix):
                found.setdefault(cursor["source"], {})[cursor["partition"]] = cursor["position"]
        return found

    async def place(self, source: str, generation: int, position: int) -> None:
        """Put all cursors of a source at a position: a replay starts behind it."""
        ids = [self._id((source, partition), generation) for partition in range(PARTITIONS)]
        await self._cursors.update_many({"_id": {"$in": ids}}, {"$set": {"position": position}})

    async def switch(self, generation: int, session: Session) -> None:
        """Make `generation` the live one; members still at the old one find their cursors gone."""
        old: dict[str, Any] = {
            "group": self._group,
            "_id": {"$not": {"$regex": f"^{self._group}@{generation}/"}},
        }
        await self._cursors.delete_many(old, session=session)
        await self._generations.update_one(
            {"_id": self._group}, {"$set": {"generation": generation}}, upsert=True, session=session
        )


async def positions_of_all(database: Database) -> dict[str, dict[str, dict[int, int]]]:
    """For each group of a service and each source, the position of each partition."""
    live = {row["_id"]: row["generation"] async for row in database["generations"].find()}
    found: dict[str, dict[str, dict[int, int]]] = {}
    async for cursor in database["cursors"].find(
        {}, {"group": 1, "source": 1, "partition": 1, "position": 1}
    ):
        group = cursor["group"]
        if cursor["_id"].startswith(f"{group}@{live.get(group, 0)}/"):
            of_source = found.setdefault(group, {}).setdefault(cursor["source"], {})
            of_source[cursor["partition"]] = cursor["position"]
    return found
