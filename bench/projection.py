"""A small dashboard, folded as the notifier folds its own; it notes how late events come."""

import asyncio
import time

from shared.city.divisions import CITY, county_of
from shared.consumers.declare import Consumer
from shared.consumers.transaction import Transaction
from shared.contracts.pledges import PledgeCodeIssued, PledgeSigned
from shared.mongo.driver import Database
from shared.service import Service
from shared.store.store import Store

TABLE = "cells"
LATENESS = "lateness"

cells = Consumer("bench.cells", tables={TABLE: []})
_late: list[float] = []


def row_of(division: str | None, partition: int) -> str:
    """The row that an event counts in."""
    return f"{county_of(division or CITY)}:{partition}"


@cells.on(PledgeCodeIssued, PledgeSigned)
async def count(event: PledgeCodeIssued | PledgeSigned, tx: Transaction) -> None:
    _late.append(time.time() - event.envelope.time.timestamp())
    tx.add(TABLE, row_of(event.division, event.envelope.partition), events=1)


async def note_lateness(store: Store) -> None:
    """Put what the handler saw where the benchmark finds it."""
    while True:
        await asyncio.sleep(0.5)
        if _late:
            seconds, _late[:] = list(_late), []
            await store.database[LATENESS].insert_one({"seconds": seconds})


async def counted(database: Database) -> int:
    """How many events the projection shows."""
    rows = database[TABLE].aggregate([{"$group": {"_id": None, "events": {"$sum": "$events"}}}])
    return sum([row["events"] async for row in rows])


service = Service(name="bench", title="bench", consumers=[cells], jobs=[note_lateness])
