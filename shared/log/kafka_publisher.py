"""From a service's archive to its Kafka topic, in order, and again from the start when Kafka was wiped."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.log.archive import Archive
from shared.log.broker import Broker
from shared.log.kafka_clients import bounded, create_topics, discard, end_offsets, started
from shared.log.wire import to_headers
from shared.model.events import PARTITIONS, Envelope
from shared.mongo.driver import Collection, PyMongoError
from shared.mongo.lease import Lease

BATCH = 2000
ACKNOWLEDGED = 6.0
"""Seconds after which a batch that is not acknowledged is sent over another connection."""
GIVE_UP, REST = 5.0, 1.5
"""Seconds of failing after which another replica may try, and how long it is let: perhaps it is only us
who cannot reach Kafka."""
IDLE_CHECK = 10.0
"""Seconds between looks whether the topic still has what was published, while nothing new comes: consumers
miss nothing, they have the archive."""
REFILL = "refill"
"""Set by whoever wants the topic filled again from the first event."""
log = structlog.get_logger()


@dataclass
class Published:
    """How far the topic is: the archive position, and per partition the last position and offset."""

    position: int = 0
    last: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    offsets: list[int] = field(default_factory=lambda: [-1] * PARTITIONS)


class Publisher:
    """Publishes one service's archive. Only the relay's lease holder runs it."""

    def __init__(
        self, broker: Broker, topic: str, archive: Archive, state: Collection, *, replication: int
    ) -> None:
        self._broker = broker
        self._archive = archive
        self._topic = topic
        self._state = state
        self._replication = replication
        self._wakened = asyncio.Event()
        self._producer: Any = None
        self._saving: asyncio.Future[None] | None = None
        self.trouble = False
        """Whether the last attempt to reach Kafka failed."""
        self._well_at = time.monotonic()
        """When all was well for the last time."""

    def wake(self) -> None:
        """There is something new in the archive."""
        self._wakened.set()

    async def run(self, lease: Lease) -> None:
        """Publish while the lease is held; start over after every failure, or let another replica try."""
        while True:
            if not lease.held:
                self._well_at, self.trouble = time.monotonic(), self.trouble and lease.resting
                await self.disconnect()
                await asyncio.sleep(0.3)
                continue
            try:
                await self._session(lease)
            except (KafkaError, OSError, TimeoutError, PyMongoError) as error:
                log.warning("publisher interrupted", source=self._archive.source, error=type(error).__name__)
                self.trouble = not isinstance(error, PyMongoError)
                await self.disconnect()
                if self.trouble and time.monotonic() - self._well_at > GIVE_UP:
                    await lease.rest(REST)
                await asyncio.sleep(0.5)

    async def _session(self, lease: Lease) -> None:
        await self._connect()
        published = await self._load()
        if await self._asked_to_refill() or await self._lost(published):
            log.warning("refilling the topic from the archive", topic=self._topic)
            published = Published()
        self.trouble = False
        try:
            await self._follow(published, lease)
        finally:
            with suppress(PyMongoError):
                await self._saved()

    async def _follow(self, published: Published, lease: Lease) -> None:
        """Publish what is archived; how far that is, is noted while the next batch is under way."""
        while lease.held:
            self._well_at = time.monotonic()
            self._wakened.clear()
            batch = await self._archive.read(published.position, BATCH)
            if batch:
                await self._publish(batch, published)
                await self._saved()
                self._saving = asyncio.ensure_future(self._save(deepcopy(published)))
            else:
                await self._idle(published)

    async def _idle(self, published: Published) -> None:
        try:
            async with asyncio.timeout(IDLE_CHECK):
                await self._wakened.wait()
        except TimeoutError:
            if await self._lost(published):
                raise KafkaError("the topic lost its records") from None
            await self._saved()
            await self._save(published)

    async def _connect(self) -> None:
        if self._producer is not None:
            return
        await create_topics(self._broker, [self._topic], self._replication)
        producer = AIOKafkaProducer(
            **self._broker.options,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=512 * 1024,
            request_timeout_ms=8_000,
            retry_backoff_ms=200,
            metadata_max_age_ms=10_000,
        )
        self._producer = producer
        await started(producer)
        await bounded(producer.partitions_for(self._topic))

    async def disconnect(self) -> None:
        """Throw the producer away, within a bounded time."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await discard(producer)

    async def _load(self) -> Published:
        row = await self._state.find_one({"_id": self._archive.source})
        return Published(row["position"], row["last"], row["offsets"]) if row else Published()

    async def unpublished(self) -> int:
        """How many archived events Kafka has not acknowledged."""
        return await self._archive.head() - (await self._load()).position

    async def _lost(self, published: Published) -> bool:
        """Whether the topic ends before what was acknowledged: the broker lost its data."""
        ends = await end_offsets(self._broker, self._topic)
        return any(ends[partition] <= offset for partition, offset in enumerate(published.offsets))

    async def _publish(self, batch: Sequence[Envelope], published: Published) -> None:
        by_partition: dict[int, list[tuple[Envelope, int]]] = defaultdict(list)
        last = list(published.last)
        for event in batch:
            by_partition[event.partition].append((event, last[event.partition]))
            last[event.partition] = event.position
        sending = [self._send(partition, events) for partition, events in by_partition.items()]
        offsets = await bounded(asyncio.gather(*sending), ACKNOWLEDGED)
        for partition, offset in zip(by_partition, offsets, strict=True):
            published.offsets[partition] = offset
        published.position, published.last = batch[-1].position, last

    async def _send(self, partition: int, events: Sequence[tuple[Envelope, int]]) -> int:
        """Send whole record batches (no future per record). Returns the last offset, acknowledged."""
        acks = []
        builder = self._producer.create_batch()
        for event, previous in events:
            record = {
                "key": event.subject.encode(),
                "value": event.data.encode(),
                "timestamp": int(event.time.timestamp() * 1000),
                "headers": to_headers(event, previous),
            }
            if builder.append(**record) is None:
                acks.append(await self._dispatch(builder, partition))
                builder = self._producer.create_batch()
                builder.append(**record)
        count = builder.record_count()
        acks.append(await self._dispatch(builder, partition))
        last_ack = (await asyncio.gather(*acks))[-1]
        offset: int = last_ack.offset + count - 1
        return offset

    async def _dispatch(self, builder: Any, partition: int) -> "asyncio.Future[Any]":
        builder.close()
        ack: asyncio.Future[Any] = await self._producer.send_batch(builder, self._topic, partition=partition)
        return ack

    async def _save(self, published: Published) -> None:
        """Note how far it is. Raises KafkaError when a refill was asked for meanwhile."""
        row = {"position": published.position, "last": published.last, "offsets": published.offsets}
        before = await self._state.find_one_and_update(
            {"_id": self._archive.source}, {"$set": row}, upsert=True
        )
        if before and before.get(REFILL):
            raise KafkaError("a refill was asked for")

    async def _asked_to_refill(self) -> bool:
        """Whether it was, which is answered by starting over: noted in the same write."""
        over = {"position": 0, "last": [0] * PARTITIONS, "offsets": [-1] * PARTITIONS}
        asked = {"_id": self._archive.source, REFILL: True}
        return bool(
            (await self._state.update_one(asked, {"$set": over, "$unset": {REFILL: ""}})).matched_count
        )

    async def _saved(self) -> None:
        """Wait until what was published before is noted. Raises PyMongoError when it could not be."""
        saving, self._saving = self._saving, None
        if saving is not None:
            await saving
