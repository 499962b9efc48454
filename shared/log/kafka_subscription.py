"""Reading topics as a member of a consumer group: the archive is the truth, the topics tell of it.

What is no event of ours is skipped and counted. Where a topic lacks something, stands still, or holds what
cannot be read or is not so archived, that partition's events come from the archive.
"""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from shared.log.archive import Archive
from shared.log.broker import Broker
from shared.log.interface import LoadCursors, Partition, Slice
from shared.log.kafka_clients import DEADLINE, bounded, create_topics, discard, started
from shared.log.wire import Foreign, from_record, source_of, topic_of
from shared.model.events import PARTITIONS, Envelope
from shared.telemetry import FOREIGN

HEAL = 2000
"""Events of a partition read from the archive at a time where the topic is not trusted."""
LOOK = 2
"""Seconds for a look at a topic over a connection that is already there; it is as good as dead otherwise."""
UNREADABLE = 3
"""Times in a row that a topic is joined again at its end because of what nobody can read there."""
HEADS = 1.0
"""Seconds for which a look at where an archive ends is good: one for all groups."""
SPARE = 9
"""Seconds that a member without partitions waits for some before it joins anew. Whoever left unheard is
thrown out when its session ends (7 s): to join anew before that leaves one more behind, and all wait."""
STOP = 3
"""Seconds for leaving a group: over a dead connection that goes unheard, and the session ends by itself."""
log = structlog.get_logger()


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
        self._name = group
        self._archives = archives
        self._load = cursors
        self._instance = instance
        self._replication = replication
        self._consumer: Any = None
        self._delivered: dict[Partition, int] = {}
        """The last position handed out, for the partitions that are ours."""
        self._seen: dict[Partition, tuple[int, int]] = {}
        """At the last look for stalls: the last position handed out, and the archive's."""
        self._doubted: set[Partition] = set()
        """Whose next events come from the archive."""
        self._silent: set[Partition] = set()
        """Those that stood still at the last look, and have told nothing since."""
        self._unreadable = 0
        self._joined = 0.0
        """When it became a member."""

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
            fetch_max_wait_ms=500,  # a record that comes is answered with at once
            max_partition_fetch_bytes=2 * 1024 * 1024,
        )
        consumer.subscribe(self._topics, listener=self)
        try:
            await started(consumer)
        except BaseException:
            await discard(consumer, STOP)
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
            self._consumer, self._joined = await self._connect(), time.monotonic()
            await self._seek(self._consumer.assignment())
        found = await self._records(limit, 0 if self._doubted else wait)
        read = (self._slice(tp, records) for tp, records in found.items())
        slices = await self._as_archived([piece for piece in read if piece is not None])
        return slices + await self._from_archive()

    async def _records(self, limit: int, wait: float) -> dict[TopicPartition, list[Any]]:
        """What the topics have; nothing where they hold what cannot be read: see `_step_over`."""
        call = self._consumer.getmany(timeout_ms=int(wait * 1000), max_records=limit)
        try:
            found: dict[TopicPartition, list[Any]] = await bounded(call, wait + DEADLINE)
        except TimeoutError:
            raise
        except Exception as error:  # a codec we lack, a name that is no text, … or the broker is away
            self._unreadable += 1
            if self._unreadable > UNREADABLE:
                raise
            await self._step_over(error)
            return {}
        self._unreadable = 0
        return found

    async def _step_over(self, error: Exception) -> None:
        """Go on at the ends of the topics, and take from the archive what was published before. Raises as
        `fetch` when the broker is away."""
        assigned = self._consumer.assignment()
        ends = await bounded(self._consumer.end_offsets(assigned), LOOK)
        log.error("topic cannot be read, stepped over", group=self._name, error=repr(error))
        for tp, end in ends.items():
            self._consumer.seek(tp, end)
            self._doubted.add((source_of(tp.topic), tp.partition))

    def _slice(self, tp: TopicPartition, records: list[Any]) -> Slice | None:
        """The records that are new and follow each other; none where they do not, which the archive mends."""
        key = (source_of(tp.topic), tp.partition)
        self._silent.discard(key)
        if key not in self._delivered or key in self._doubted:  # revoked meanwhile, or told by the archive
            return None
        after = last = self._delivered[key]
        events: list[Envelope] = []
        foreign = 0
        for record in records:
            try:
                event, previous = from_record(record)
            except Foreign as error:
                foreign, reason = foreign + 1, str(error)
                continue
            if event.position <= last:  # a redelivery
                continue
            if previous != last:
                log.warning("gap in the topic filled from the archive", source=key[0], partition=key[1])
                self._doubted.add(key)
                break
            events.append(event)
            last = event.position
        if foreign:
            self._skipped(key, foreign, reason)
        return (
            Slice(*key, after, events, records[-1].offset + 1)
            if events and key not in self._doubted
            else None
        )

    def _skipped(self, key: Partition, records: int, reason: str) -> None:
        FOREIGN.labels(self._name, key[0]).inc(records)
        log.error(
            "foreign records", group=self._name, source=key[0], partition=key[1], records=records, last=reason
        )

    async def _as_archived(self, slices: list[Slice]) -> list[Slice]:
        """Those whose last event is archived under its position: then so are the others, which lead to it.

        Otherwise somebody else wrote them, or they are older than a backup that was restored. The cursor
        must not follow them past what really happened.
        """
        archived: dict[Partition, str] = {}
        for source in {piece.source for piece in slices}:
            positions = [piece.events[-1].position for piece in slices if piece.source == source]
            ids = await self._archives[source].ids(positions)
            archived |= {(source, position): event_id for position, event_id in ids.items()}
        return [piece for piece in slices if self._is_archived(piece, archived)]

    def _is_archived(self, piece: Slice, archived: dict[Partition, str]) -> bool:
        key, last = (piece.source, piece.partition), piece.events[-1]
        if self._delivered.get(key) != piece.after:  # revoked meanwhile
            return False
        if archived.get((piece.source, last.position)) != last.id:
            self._skipped(key, len(piece.events), "not as the archive has it")
            self._doubted.add(key)
            return False
        self._delivered[key] = last.position
        return True

    async def _from_archive(self) -> list[Slice]:
        """The next events of the partitions whose topic is doubted, until the archive has no more."""
        slices = []
        for key in sorted(self._doubted):
            after = self._delivered.get(key)
            events = [] if after is None else await self._archives[key[0]].read_on(key[1], after, HEAL)
            if len(events) < HEAL:
                self._doubted.discard(key)
            if events and after is not None and self._delivered.get(key) == after:
                self._delivered[key] = events[-1].position
                slices.append(Slice(*key, after, events, None))
        return slices

    async def rewind(self) -> None:
        """See `Subscription.rewind`."""
        self._delivered.clear()
        self._doubted.clear()
        if self._consumer is not None:
            await self._seek(self._consumer.assignment())

    async def stalled(self) -> bool:
        """See `Subscription.stalled`. What stands still is read from the archive first. Without any partition
        we may only be a spare member."""
        assigned = self._consumer.assignment()
        heads = {source: await archive.heads(HEADS) for source, archive in self._archives.items()}
        for key in [(source_of(tp.topic), tp.partition) for tp in assigned]:
            delivered = self._delivered.get(key)
            if delivered is None:  # the cursors could not be read when it became ours
                return True
            if self._stands_still(key, delivered, heads):
                if key in self._silent:
                    return True
                self._silent.add(key)
                self._doubted.add(key)
        waited = time.monotonic() - self._joined
        return not assigned and waited > SPARE and await self._group_stands_still(heads)

    def _stands_still(self, key: Partition, position: int, heads: Mapping[str, Mapping[int, int]]) -> bool:
        """Whether it is where it was at the last look, although the archive held more then."""
        before = self._seen.get(key)
        self._seen[key] = position, heads[key[0]].get(key[1], 0)
        return before is not None and before[0] == position < before[1]

    async def _group_stands_still(self, heads: Mapping[str, Mapping[int, int]]) -> bool:
        """Whether nobody of the group gets anything done although there is something to do. We may only be a
        spare member: to join anew would take the partitions from everybody."""
        keys = [(source, number) for source in self._archives for number in range(PARTITIONS)]
        cursors = await self._load(keys)
        return any([self._stands_still(key, cursors[key].position, heads) for key in keys])

    async def close(self) -> None:
        """See `Subscription.close`."""
        consumer, self._consumer = self._consumer, None
        self._delivered.clear()
        if consumer is not None:
            await discard(consumer, STOP)
