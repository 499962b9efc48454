"""Parking: an event that cannot be handled waits in MongoDB, and its successors of the same key behind it.

Only that key of that group stands still. The head of each key is tried again with growing pauses; after
the last try it waits for somebody to `retry` or `skip` it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.model.clock import now
from shared.model.documents import Index
from shared.model.events import Envelope
from shared.mongo.driver import Bson, Collection, Database, InsertOne, Session
from shared.mongo.indexes import create_indexes

PAUSES = (1, 5, 30, 120, 600)
"""Seconds before each further try."""
NEVER = datetime(9999, 1, 1)
_INDEXES = (
    Index("key", [("group", 1), ("key", 1), ("position", 1)]),
    Index("due", [("group", 1), ("next_try", 1)]),
)


def _pause(attempts: int) -> datetime:
    return now() + timedelta(seconds=PAUSES[attempts - 1]) if attempts <= len(PAUSES) else NEVER


class Parking:
    """The parked events of one group."""

    def __init__(self, database: Database, group: str) -> None:
        self._parked = database["parked"]
        self._group = group

    async def prepare(self) -> None:
        """Create the indexes."""
        await create_indexes(self._parked, _INDEXES)

    async def held(self, keys: Sequence[str]) -> set[str]:
        """Which of these keys stand still.

        Outside of the batch's transaction, where it costs the handlers no round trip: a key is parked by
        whoever moves its cursor, which is us; and one that a retry has freed meanwhile is parked again,
        behind nobody, and retried at once.
        """
        if await self._parked.find_one({"group": self._group}, {"_id": 1}) is None:
            return set()
        where = {"group": self._group, "key": {"$in": list(set(keys))}}
        return {row["key"] async for row in self._parked.find(where, {"key": 1})}

    async def park(self, events: Sequence[tuple[Envelope, str | None]], session: Session) -> None:
        """Park events: with the reason they failed for, or None when they wait behind another."""
        rows = [InsertOne(self._row(event, reason)) for event, reason in events]
        await self._parked.bulk_write(rows, session=session)

    def _row(self, event: Envelope, reason: str | None) -> Bson:
        return {
            "_id": f"{self._group}/{event.source}/{event.position}",
            "group": self._group,
            "key": event.subject,
            "position": event.position,
            "event": event._asdict(),
            "reason": reason,
            "attempts": 1 if reason else 0,
            "parked_at": now(),
            "next_try": _pause(1) if reason else now(),
        }

    async def due(self, limit: int = 100) -> list[Bson]:
        """The heads of their keys whose time has come, oldest first."""
        heads: list[Bson] = [
            {"$match": {"group": self._group}},
            {"$sort": {"key": 1, "position": 1}},
            {"$group": {"_id": "$key", "head": {"$first": "$$ROOT"}}},
            {"$replaceWith": "$head"},
            {"$match": {"next_try": {"$lte": now()}}},
            {"$sort": {"position": 1}},
            {"$limit": limit},
        ]
        return await self._parked.aggregate(heads).to_list(None)

    async def done(self, parked_id: str, session: Session) -> bool:
        """It was handled (or skipped): gone. False when somebody else was faster."""
        return (await self._parked.delete_one({"_id": parked_id}, session=session)).deleted_count == 1

    async def failed(self, row: Bson, reason: str) -> None:
        """It failed again."""
        attempts = row["attempts"] + 1
        change = {"attempts": attempts, "reason": reason, "next_try": _pause(attempts)}
        await self._parked.update_one({"_id": row["_id"]}, {"$set": change})

    async def count(self) -> int:
        """How many events are parked."""
        return await self._parked.count_documents({"group": self._group})

    # ── for people ───────────────────────────────────────────────────────────────────────────────

    async def list(self, limit: int = 200) -> list[Bson]:
        """Parked events, each key's head before what waits behind it."""
        where: dict[str, Any] = {"group": self._group}
        return await self._parked.find(where, sort=[("key", 1), ("position", 1)], limit=limit).to_list(None)

    async def show(self, parked_id: str) -> Bson | None:
        """One parked event, whole."""
        return await self._parked.find_one({"_id": parked_id, "group": self._group})

    async def retry(self, parked_id: str) -> bool:
        """Try it again at once, with all its tries before it. False when there is none."""
        change = {"$set": {"next_try": now(), "attempts": 0}}
        return (
            await self._parked.update_one({"_id": parked_id, "group": self._group}, change)
        ).matched_count == 1

    async def skip(self, parked_id: str) -> bool:
        """Give the event up: what waits behind it goes on. False when there is none."""
        row = await self._parked.find_one_and_delete({"_id": parked_id, "group": self._group})
        return row is not None


async def counts(parked: Collection) -> dict[str, int]:
    """How many events each group has parked; without those that have none."""
    rows = await parked.aggregate([{"$group": {"_id": "$group", "events": {"$sum": 1}}}]).to_list(None)
    return {row["_id"]: row["events"] for row in rows}


def envelope_of(row: Bson) -> Envelope:
    """The event in a parked row."""
    return Envelope(**row["event"])
