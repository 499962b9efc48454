"""The log on Apache Kafka. The only package that knows aiokafka is this module and `kafka_publisher`.

aiokafka hangs in places when the broker is away, so every call has a deadline, and what failed is thrown
away and made anew instead of being trusted to recover.
"""

import asyncio
import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from shared.archive import Archive, Archives
from shared.events import PARTITIONS, Envelope
from shared.log.broker import Broker
from shared.log.interface import LoadCursors, Partition, Slice
from shared.log.kafka_publisher import DEADLINE, Publisher, bounded, create_topics
from shared.log.wire import from_record, source_of, topic_of
from shared.store.lease import Lease

HEAL = 2000
"""Events read from the archive at a time to fill a gap."""
LOOK = 2
"""Seconds for a look at a topic over a connection that is already there; it is as good as dead otherwise."""
STOP = 3
"""Seconds for leaving a group: over a dead connection that goes unheard, and the session ends by itself."""
log = structlog.get_logger()


class KafkaLog:
    """Topics on a Kafka cluster; the archives stand behind them."""

    name = "kafka"

    def __init__(
        self, broker: Broker, archives: Archives, instance: str | None, *, replication: int = 1
    ) -> None:
        if importlib.util.find_spec("aiokafka.record._crecords") is None:
            log.warning("aiokafka runs without its C extension: a sixth of the throughput")
        self._broker = broker
        self._archives = archives
        self._instance = instance
        self._replication = replication
        self._publishers: dict[str, Publisher] = {}

    def _publisher(self, source: str) -> Publisher:
        if source not in self._publishers:
            prefix = self._archives.prefix
            state = self._archives.client[f"{prefix}_log"]["published"]
            self._publishers[source] = Publisher(
                self._broker,
                topic_of(prefix, source),
                self._archives[source],
                state,
                replication=self._replication,
            )
        return self._publishers[source]

    def subscribe(self, group: str, sources: Sequence[str], cursors: LoadCursors) -> "KafkaSubscription":
        """Join the consumer group `group` on the topics of `sources`."""
        archives, prefix = {source: self._archives[source] for source in sources}, self._archives.prefix
        return KafkaSubscription(
            self._broker, prefix, group, archives, cursors, self._instance, replication=self._replication
        )

    def archived(self, source: str, head: int) -> None:
        """Wake the publisher."""
        self._publisher(source).wake()

    async def publish_forever(self, source: str, lease: Lease) -> None:
        """Bring the archive to the topic."""
        await self._publisher(source).run(lease)

    async def unpublished(self, source: str) -> int:
        """See `Log.unpublished`."""
        return await self._publisher(source).unpublished()

    async def healthy(self) -> bool:
        """Whether a broker answers and publishing goes through."""
        if any(publisher.trouble for publisher in self._publishers.values()):
            return False
        host, _, port = self._broker.bootstrap.split(",")[0].rpartition(":")
        try:
            _, writer = await bounded(asyncio.open_connection(host, int(port)), 1)
        except OSError:
            return False
        writer.close()
        return True

    async def close(self) -> None:
        """Drop the producers."""
        for publisher in self._publishers.values():
            await publisher.disconnect()


class KafkaSubscription(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A member of a consumer group that keeps its own cursors: nothing is committed to Kafka."""

    def __init__(
        self,
        broker: Broker,
        prefix: str,
        group: str,
        archives: dict[str, Archive],
        cursors: LoadCursors,
        instance: str | None,
        *,
        replication: int,
    ) -> None:
        self._broker = broker
        self._topics = [topic_of(prefix, source) for source in archives]
        self._group = f"{prefix}.{group}"
        self._archives = archives
        self._load = cursors
        self._instance = instance
        self._replication = replication
        self._consumer: Any = None
        self._delivered: dict[Partition, int] = {}
        """The last position handed out, for the partitions that are ours."""
        self._seen: dict[Partition, tuple[int, int]] = {}
        """At the last look for stalls: the last position handed out, and the archive's."""
        self._looked_back: set[Partition] = set()

    async def _connect(self) -> Any:
        # A service that was never up has no topic yet: waiting for it would hold up the others' events.
        await create_topics(self._broker, self._topics, self._replication)
        consumer = AIOKafkaConsumer(
            **self._broker.options,
            group_id=self._group,
            group_instance_id=f"{self._group}.{self._instance}" if self._instance else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_uncommitted",
            session_timeout_ms=7_000,  # below DEADLINE: joining waits so long for a member that has died
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=60_000,
            metadata_max_age_ms=3_000,  # a topic made after a wipe is found soon
            request_timeout_ms=15_000,
            retry_backoff_ms=200,
            fetch_max_wait_ms=200,
            max_partition_fetch_bytes=2 * 1024 * 1024,
        )
        consumer.subscribe(self._topics, listener=self)
        try:
            await bounded(consumer.start())
        except BaseException:
            await _stop(consumer)
            raise
        return consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Hand nothing out any more; a batch under way commits, or finds its cursor moved."""
        self._delivered.clear()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Go on where the group's cursors say."""
        await self._seek(assigned)

    async def _seek(self, partitions: set[TopicPartition]) -> None:
        keys: list[Partition] = [(source_of(tp.topic), tp.partition) for tp in partitions]
        cursors = await self._load(keys) if keys else {}
        for tp, key in zip(partitions, keys, strict=True):
            cursor = cursors[key]
            self._delivered[key] = cursor.position
            if self._consumer is not None:
                self._consumer.seek(tp, cursor.resume or 0)

    async def fetch(self, limit: int, wait: float) -> list[Slice]:
        """See `Subscription.fetch`. Raises KafkaError, OSError or TimeoutError when the broker is away."""
        if self._consumer is None:
            self._consumer = await self._connect()
            await self._seek(self._consumer.assignment())
        found = await bounded(
            self._consumer.getmany(timeout_ms=int(wait * 1000), max_records=limit), wait + DEADLINE
        )
        slices = [await self._slice(tp, records) for tp, records in found.items()]
        return [piece for piece in slices if piece is not None]

    async def _slice(self, tp: TopicPartition, records: list[Any]) -> Slice | None:
        """The records that are new, and before them what the topic has lost."""
        key = (source_of(tp.topic), tp.partition)
        if key not in self._delivered:  # revoked meanwhile
            return None
        after = last = self._delivered[key]
        events: list[Envelope] = []
        resume = records[-1].offset + 1
        for record in records:
            try:
                event, previous = from_record(record)
            except ValueError as error:
                log.error("foreign record skipped", topic=tp.topic, offset=record.offset, reason=str(error))
                continue
            if event.position <= last:  # a redelivery
                continue
            if previous > last:
                missing = await self._missing(key, last, event.position)
                events += missing
                if len(missing) == HEAL:  # there may be more: come back to this record afterwards
                    resume, last = record.offset, missing[-1].position
                    self._consumer.seek(tp, resume)
                    break
            events.append(event)
            last = event.position
        if not events or self._delivered.get(key) != after:
            return None
        self._delivered[key] = last
        self._looked_back.discard(key)
        return Slice(*key, after, events, resume)

    async def _missing(self, key: Partition, after: int, before: int) -> list[Envelope]:
        """What Kafka no longer has (retention passed, broker wiped): from the archive."""
        log.warning("gap in the topic filled from the archive", source=key[0], partition=key[1], after=after)
        return await self._archives[key[0]].read_partition(key[1], after, before, HEAL)

    async def rewind(self) -> None:
        """See `Subscription.rewind`."""
        self._delivered.clear()
        if self._consumer is not None:
            await self._seek(self._consumer.assignment())

    async def stalled(self) -> bool:
        """See `Subscription.stalled`. Without any partition we may only be a spare member."""
        assigned = self._consumer.assignment()
        for tp in assigned:
            key = (source_of(tp.topic), tp.partition)
            delivered = self._delivered.get(key)
            if delivered is None:  # the cursors could not be read when it became ours
                return True
            before = self._seen.get(key)
            self._seen[key] = delivered, await self._archives[key[0]].ends(key[1])
            if before and before[0] == delivered < before[1] and not await self._look_back(tp, key):
                return True
        return not assigned and await self._group_stands_still()

    async def _group_stands_still(self) -> bool:
        """Whether nobody of the group gets anything done although there is something to do. We may only be a
        spare member: to join anew would take the partitions from everybody."""
        keys = [(source, number) for source in self._archives for number in range(PARTITIONS)]
        cursors = await self._load(keys)
        still = False
        for key in keys:
            before, position = self._seen.get(key), cursors[key].position
            self._seen[key] = position, await self._archives[key[0]].ends(key[1])
            still = still or (before is not None and before[0] == position < before[1])
        return still

    async def _look_back(self, tp: TopicPartition, key: Partition) -> bool:
        """Read the last record again, which tells of a gap: an offset stored before the topic was wiped
        and refilled may lie behind what we lack. False when that was tried and did not help."""
        if key in self._looked_back:
            return False
        self._looked_back.add(key)
        end: int = (await bounded(self._consumer.end_offsets([tp]), LOOK))[tp]
        self._consumer.seek(tp, max(end - 1, 0))
        return True

    async def close(self) -> None:
        """See `Subscription.close`."""
        consumer, self._consumer = self._consumer, None
        self._delivered.clear()
        if consumer is not None:
            await _stop(consumer)


async def _stop(consumer: Any) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        await bounded(consumer.stop(), STOP)
