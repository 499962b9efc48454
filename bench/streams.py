"""Rows about what runs behind the answer: relay, consumer, a poisoned key."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from bench import bare, projection
from bench.figures import Figure, Pairs
from bench.fill import pending_pledges, signed_events, store_many
from bench.forms import evenly
from bench.parts import Parts, until
from services.notifier.activities.pledges import BOARD
from services.pledges.app import service as pledges
from services.pledges.domain.pledge import Pledge
from shared.consumers.declare import Consumer
from shared.consumers.retries import Retries
from shared.consumers.runtime import BATCH, Runtime
from shared.consumers.transaction import Transaction
from shared.contracts.pledges import PledgeSigned
from shared.log.archive import Archives
from shared.log.broker import Broker
from shared.log.kafka import KafkaLog
from shared.log.relay import Relay
from shared.log.wire import topic_of
from shared.mongo.driver import Bson, Client
from shared.mongo.lease import Lease
from shared.privacy.vault import Vault
from shared.settings import Settings
from shared.store.store import Store

SOURCE = "pledges"
PATIENCE = 60.0
RELAYED = 5000
"""Events made ready for the relay for each second that a row may take."""
CONSUMED = 15_000
"""The same for consumers."""


@dataclass
class Stage:
    """A service's documents, archive and topic, without its HTTP side."""

    client: Client
    settings: Settings
    vault: Vault

    def __post_init__(self) -> None:
        prefix, bootstrap = self.settings.database_prefix, self.settings.kafka_bootstrap_servers
        assert bootstrap
        self.store = Store(self.client, prefix, SOURCE, self.vault)
        archives = Archives(self.client, prefix)
        self.archive = archives[SOURCE]
        self.topic = topic_of(prefix, SOURCE)
        self.log = KafkaLog(Broker(bootstrap), archives, None)

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """The publisher, beside us."""
        await self.archive.prepare()
        task = asyncio.create_task(self.log.publish_forever(SOURCE, lambda: True))
        yield
        await _cancelled(task)
        await self.log.close()

    async def published(self, position: int) -> None:
        """Wait until Kafka has acknowledged the archive up to a position."""
        state = self.client[f"{self.settings.database_prefix}_log"]["published"]

        async def there() -> bool:
            return await state.find_one({"_id": SOURCE, "position": {"$gte": position}}) is not None

        await until(there, PATIENCE)

    async def publish(self, entries: list[Bson]) -> None:
        """Archive events and bring them to the topic."""
        async with self.publishing():
            await self._publish(entries)

    async def connected(self) -> int:
        """Publish one event, so that what follows is not held up by connecting. Returns its position."""
        return await self._publish(list(signed_events(1)))

    async def _publish(self, entries: list[Bson]) -> int:
        head = 0
        for at in range(0, len(entries), BATCH):
            head = await self.archive.append(head, entries[at : at + BATCH])
            self.log.archived(SOURCE, head)
        await self.published(head)
        return head


async def _cancelled(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def stage(parts: Parts, name: str) -> AsyncIterator[Stage]:
    settings = parts.settings(name, kafka=True)
    async with parts.client() as client:
        yield Stage(client, settings, await parts.vault(client, settings))


# ── relay ────────────────────────────────────────────────────────────────────────────────────────


async def relay(parts: Parts) -> list[Figure]:
    """Outboxes to Kafka and cleared, against a bare producer that sends the same records."""
    many = int(parts.seconds * RELAYED)
    async with stage(parts, "relay") as first:
        documents = await pending_pledges(first.vault, None, evenly(many), events=True)

    async def ours() -> float:
        async with stage(parts, "relay") as fresh:
            return await _relayed(fresh, documents)

    async def theirs() -> float:
        return await bare.produce(parts.kafka.bootstrap, parts.settings("bare").database_prefix, documents)

    pairs = await Pairs.measured(ours, theirs, parts.pairs)
    return [pairs.figure("relay to Kafka, acknowledged and cleared / bare producer", 0.5)]


async def _relayed(stage: Stage, documents: list[Bson]) -> float:
    """Events a second from a full outbox."""
    await store_many(stage.client, stage.settings, documents)
    await stage.store.prepare(pledges.stored)
    lease = Lease(stage.store.database["leases"], "relay", "bench", 3)
    relay = Relay(
        stage.store, stage.archive, lease, lambda head: stage.log.archived(SOURCE, head), watch=False
    )

    async def cleared() -> bool:
        return await stage.store.collection(Pledge).find_one({"outbox.0": {"$exists": True}}) is None

    async with stage.publishing():
        head = await stage.connected()
        began = time.perf_counter()
        task = asyncio.create_task(relay.run())
        await stage.published(head + len(documents))
        await until(cleared, PATIENCE)
        seconds = time.perf_counter() - began
        await _cancelled(task)
    return len(documents) / seconds


# ── consumers ────────────────────────────────────────────────────────────────────────────────────


async def consumer(parts: Parts) -> list[Figure]:
    """Kafka to an exactly-once projection, against a loop written by hand for just that."""
    many = int(parts.seconds * CONSUMED)
    async with stage(parts, "consumer") as ready:
        await ready.publish(list(signed_events(many)))

        async def ours() -> float:
            return many / await _consumed(parts, ready, BOARD.consumer, many)

        async def theirs() -> float:
            database = ready.client[parts.settings("handwritten").database_prefix]
            return many / await bare.project(parts.kafka.bootstrap, ready.topic, database, many)

        pairs = await Pairs.measured(ours, theirs, parts.pairs)
    rate = sorted(pairs.ours)[len(pairs.ours) // 2]
    return [
        pairs.figure("consumer: exactly-once projection / hand-written loop", 0.5),
        Figure("consumer: events a second", f"{rate:,.0f}/s", None, rate, 10_000, unit="/s"),
    ]


async def _consumed(parts: Parts, ready: Stage, consumer: Consumer, many: int) -> float:
    """Seconds from a new group's first batch to the commit of its last, in a database of its own."""
    store = Store(ready.client, parts.settings("group").database_prefix, "bench", ready.vault)
    runtime = Runtime(consumer, store, ready.log)
    await runtime.prepare()
    parked = asyncio.create_task(Retries([runtime]).run())
    subscription = ready.log.subscribe(
        f"{store.database.name}.{consumer.group}", consumer.sources, runtime.cursors.load
    )
    done, began = 0, 0.0
    async with asyncio.timeout(PATIENCE):
        while done < many:
            slices = await subscription.fetch(BATCH, 0.5)
            began = began or (time.perf_counter() if slices else 0.0)
            if slices:
                await runtime.process(slices)
                done += sum(len(piece.events) for piece in slices)
    seconds = time.perf_counter() - began
    await _cancelled(parked)
    await subscription.close()
    return seconds


# ── a poisoned key ───────────────────────────────────────────────────────────────────────────────

POISON = "poisoned"
healthy = Consumer("bench.healthy", tables={projection.TABLE: []})
poisoned = Consumer("bench.poisoned", tables={projection.TABLE: []})
healthy.on(PledgeSigned)(projection.count)


@poisoned.on(PledgeSigned)
async def refuse(event: PledgeSigned, tx: Transaction) -> None:
    """As the other, but one household cannot be handled."""
    if event.envelope.subject == POISON:
        raise ValueError("poisoned")
    await projection.count(event, tx)


async def poison(parts: Parts) -> list[Figure]:
    """All other keys, while every hundredth event is of one key that fails, against none failing."""
    many = int(parts.seconds * CONSUMED)
    async with stage(parts, "poison") as ready:
        await ready.publish(list(signed_events(many, poison=POISON)))
        others = many - len(range(0, many, 100))

        async def ours() -> float:
            return others / await _consumed(parts, ready, poisoned, many)

        async def theirs() -> float:
            return others / await _consumed(parts, ready, healthy, many)

        pairs = await Pairs.measured(ours, theirs, parts.pairs)
    return [pairs.figure("all other keys beside a poisoned one / no key poisoned", 0.9)]
