"""What operators do: refill, replay, audit, trace. Each works while the platform runs."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple

from jinguo.connection import Platform
from jinguo.services import SERVICES
from shared.consumers.parking import Parking
from shared.consumers.runtime import Runtime
from shared.consumers.tables import drop_tables, prepare_tables
from shared.log.kafka_publisher import REFILL
from shared.model.events import PARTITIONS, Envelope
from shared.mongo.driver import Bson, Session, in_transaction
from shared.store.tallies import recount
from shared.telemetry import trace_id


class NotReplayable(Exception):
    """The group keeps no tables: what its handlers changed is not theirs alone to rebuild."""


async def refill(platform: Platform, source: str) -> int:
    """Let the publisher of `source` fill its topic again from the archive. Returns the events it will send.

    Consumers drop what they have: positions they passed have no effect twice.
    """
    state = platform.client[f"{platform.settings.database_prefix}_log"]["published"]
    await state.update_one({"_id": source}, {"$set": {REFILL: True}})
    return await platform.archives[source].head()


# ── replay ───────────────────────────────────────────────────────────────────────────────────────


async def replay(platform: Platform, group: str, start: int | datetime = 0) -> AsyncIterator[int]:
    """Rebuild a group's tables from the archives beside the live ones, then swap.

    `start` is the first position, or instant, to count again. Yields how many events were handled so
    far. Raises NotReplayable.
    """
    runtime = platform.runtime(group)
    consumer, store = runtime.consumer, runtime.store
    if not consumer.tables:
        raise NotReplayable(group)
    old = await runtime.cursors.live()
    new = old + 1
    await _forget(runtime, new)
    await prepare_tables(store, consumer.tables, consumer.followed, new)
    runtime.cursors.generation = new
    runtime.parking = Parking(store.database, f"{group}@{new}")
    handled = 0
    async for count in _fold(platform, runtime, new, start):
        handled += count
        yield handled
    await _swap(runtime, old, new)


async def _forget(runtime: Runtime, generation: int) -> None:
    """What an earlier replay that was stopped left behind."""
    group, database = runtime.consumer.group, runtime.store.database
    await database["cursors"].delete_many({"_id": {"$regex": f"^{re.escape(group)}@{generation}/"}})
    await database["parked"].delete_many({"group": f"{group}@{generation}"})
    await drop_tables(runtime.store, runtime.consumer.tables, generation)


async def _fold(
    platform: Platform, runtime: Runtime, generation: int, start: int | datetime
) -> AsyncIterator[int]:
    group, cursors = runtime.consumer.group, runtime.cursors
    await _start_at(platform, runtime, generation, start)
    subscription = platform.log.subscribe(
        f"{group}@{generation}",
        runtime.consumer.sources,
        lambda keys: cursors.of_generation(keys, generation),
    )
    try:
        while slices := await subscription.fetch(2000, 0.2):
            await runtime.process(slices)
            yield sum(len(piece.events) for piece in slices)
    finally:
        await subscription.close()


async def _start_at(platform: Platform, runtime: Runtime, generation: int, start: int | datetime) -> None:
    """Put the new generation's cursors right before the first event to count."""
    for source in runtime.consumer.sources:
        archive = platform.archives[source]
        first = await archive.first_since(start) if isinstance(start, datetime) else start
        keys = [(source, partition) for partition in range(PARTITIONS)]
        await runtime.cursors.of_generation(keys, generation)
        if first > 1:
            await runtime.cursors.place(source, generation, first - 1)


async def _swap(runtime: Runtime, old: int, new: int) -> None:
    """Make the new generation the live one, in one transaction; then drop the old tables."""
    group, database = runtime.consumer.group, runtime.store.database

    async def switch(session: Session) -> None:
        await runtime.cursors.switch(new, session)
        await database["parked"].delete_many({"group": group}, session=session)
        await database["parked"].update_many(
            {"group": f"{group}@{new}"}, {"$set": {"group": group}}, session=session
        )

    await in_transaction(runtime.store.client, switch)
    await drop_tables(runtime.store, runtime.consumer.tables, old)


# ── audit ────────────────────────────────────────────────────────────────────────────────────────


class Drift(NamedTuple):
    """One count that a projection shows and the service itself counts differently."""

    projection: str
    row: str
    column: str
    shown: int
    counted: int


async def settled(platform: Platform, seconds: float = 60) -> bool:
    """Wait until every event is archived and consumed. False when it is not so in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while await _waiting(platform):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.2)
    return True


async def _waiting(platform: Platform) -> bool:
    for service in SERVICES:
        for model in service.stored:
            pending = {"outbox.0": {"$exists": True}}
            if await platform.stores[service.name].collection(model).find_one(pending, {"_id": 1}):
                return True
    for runtime in platform.runtimes.values():
        positions = await runtime.cursors.positions()
        for source in runtime.consumer.sources:
            if await platform.archives[source].lag(positions.get(source, {})):
                return True
    return False


async def audit(platform: Platform) -> tuple[list[Drift], int]:
    """Recompute every projection from the services' own collections.

    Returns the drift, and how many counts were compared.
    """
    drift: list[Drift] = []
    compared = 0
    documents = {service.name: service.documents for service in SERVICES}
    for service in SERVICES:
        for projection in service.projections:
            shown = await projection.shown(platform.stores[service.name])
            source = projection.source
            counted = await recount(platform.stores[source], documents[source], projection.by)
            for row in sorted(shown.keys() | counted.keys()):
                columns = sorted(shown.get(row, {}).keys() | counted.get(row, {}).keys())
                compared += len(columns)
                drift += [
                    Drift(projection.name, row, column, here, there)
                    for column in columns
                    if (here := shown.get(row, {}).get(column, 0))
                    != (there := counted.get(row, {}).get(column, 0))
                ]
    return drift, compared


# ── trace ────────────────────────────────────────────────────────────────────────────────────────


class Step(NamedTuple):
    """What became of an event in one consumer group."""

    group: str
    state: str
    """consumed, parked or waiting."""
    at: datetime | None


class Trace(NamedTuple):
    """One event's way."""

    event: Envelope
    trace_id: str | None
    steps: list[Step]
    effects: list[Envelope]
    """Events that its handling led to."""


async def trace(platform: Platform, event_id: str) -> Trace | None:
    """Find an event by its id: who caused it, who consumed it, when. None when no archive has it."""
    for archive in platform.archives.values():
        if (event := await archive.find(event_id)) is not None:
            steps = [
                await _step(runtime, event)
                for runtime in platform.runtimes.values()
                if event.source in runtime.consumer.sources
            ]
            effects = [e for other in platform.archives.values() for e in await other.caused_by(event)]
            return Trace(event, trace_id(event.traceparent), steps, effects)
    return None


async def _step(runtime: Runtime, event: Envelope) -> Step:
    database, group = runtime.store.database, runtime.consumer.group
    where: Bson = {"group": group, "event.id": event.id}
    parked: Any = await database["parked"].find_one(where)
    if parked:
        return Step(group, f"parked: {parked['reason'] or 'waits behind another'}", parked["parked_at"])
    part = {"source": event.source, "partition": event.partition}
    part |= {"after": {"$lt": event.position}, "to": {"$gte": event.position}}
    batch: Any = await database["batches"].find_one(
        {"group": group, "parts": {"$elemMatch": part}}, sort=[("at", -1)]
    )
    if batch:
        return Step(group, "consumed", batch["at"])
    positions = (await runtime.cursors.positions()).get(event.source, {})
    passed = positions.get(event.partition, 0) >= event.position
    return Step(group, "consumed (the record of when has expired)" if passed else "waiting", None)
