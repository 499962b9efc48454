"""Whatever a Kafka log can hold, put there on purpose."""

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

HUGE = 5 * 1024 * 1024
"""Bytes of a value: more than a reader asks for at a time."""
CRC, ATTRIBUTES, RECORDS = 17, 21, 61
"""Where these begin in a record batch (format 2)."""
LZ4 = 3
LZ4_BEGINS = bytes.fromhex("04224d18604082")
"""A frame of independent blocks, with its own checksum."""


class Record(NamedTuple):
    """What is handed to Kafka."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    partition: int


def changed(name: str, value: bytes | None) -> Callable[[Record], Record]:
    """The same record with another value of a header."""
    return lambda real: real._replace(headers=[(n, value if n == name else v) for n, v in real.headers])


def without(name: str) -> Callable[[Record], Record]:
    return lambda real: real._replace(headers=[(n, v) for n, v in real.headers if n != name])


def as_if_next(position: int, previous: int | None = None) -> Callable[[Record], Record]:
    """A forged record that claims to follow the last one of its partition."""

    def made(real: Record) -> Record:
        last = int(dict(real.headers)["ce_position"] or 0)
        told = {"ce_position": position, "ce_previous": last if previous is None else previous}
        told_bytes = {name: b"%d" % number for name, number in told.items()}
        told_bytes["ce_id"] = b"forged.1.0"
        return real._replace(headers=[(n, told_bytes.get(n, v)) for n, v in real.headers])

    return made


def next_one(real: Record) -> Record:
    """A forged record in the very place of the next real one."""
    last = int(dict(real.headers)["ce_position"] or 0)
    return as_if_next(last + 1)(real)


FOREIGN: dict[str, Callable[[Record], Record]] = {
    "a header that is null": changed("ce_id", None),
    "a header that is no text": changed("ce_id", b"\xff\xfe"),
    "no headers": lambda real: real._replace(headers=[]),
    "no key": lambda real: real._replace(key=None),
    "a tombstone": lambda real: real._replace(value=None),
    "neither": lambda real: Record(None, b"", [], real.partition),
    "a value that is no text": lambda real: real._replace(value=b"\x80\x81"),
    "another's cloud event": lambda real: without("ce_position")(without("ce_previous")(real)),
    "a header twice": lambda real: real._replace(headers=[*real.headers, ("ce_id", b"other")]),
    "another source": changed("ce_source", b"/elsewhere"),
    "a time without a zone": changed("ce_time", b"2026-03-08T10:00:00"),
    "a time that is none": changed("ce_time", b"yesterday"),
    "a position in words": changed("ce_position", b"first"),
    "a position of 5,000 digits": changed("ce_position", b"9" * 5000),
    "a position that no database counts to": as_if_next(2**70),
    "a position far ahead": as_if_next(10**9),
    "a position far ahead after a gap": as_if_next(10**9, 10**8),
    "a position before its predecessor": as_if_next(10**6, 10**7),
    "a position below nothing": as_if_next(-5, -6),
    "the next position": next_one,
    "another partition": lambda real: real._replace(partition=(real.partition + 1) % 12),
    "another subject": changed("ce_subject", b"somebody-else"),
    "the same once more": lambda real: real,
    "a huge value": lambda real: real._replace(value=b"x" * HUGE),
}
"""Each made from a real record of the partition."""


async def put(bootstrap: str, topic: str, records: Sequence[Record]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=2 * HUGE) as producer:
        for record in records:
            await producer.send_and_wait(
                topic, record.value, record.key, record.partition, headers=list(record.headers)
            )


async def let_in_huge(bootstrap: str, topic: str) -> None:
    """As an operator might who was asked for it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        limit = {"max.message.bytes": str(2 * HUGE)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, limit)])
    finally:
        await admin.close()


# ── what the client library itself cannot read ───────────────────────────────────────────────────────


def _batch(real: Record) -> bytearray:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=2**20,
    )
    headers: Any = [("placeholder", b""), *real.headers]
    builder.append(0, timestamp=1, key=real.key, value=real.value, headers=headers)
    return builder.build()


def _signed(batch: bytearray) -> bytes:
    """With its length and checksum made anew."""
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">I", batch, CRC, calc_crc32c(batch[ATTRIBUTES:]))
    return bytes(batch)


def nameless(real: Record) -> bytes:
    """A header whose name is no text."""
    return _signed(bytearray(bytes(_batch(real)).replace(b"placeholder", b"\xff" * 11)))


def in_a_codec_we_lack(real: Record) -> bytes:
    """Compressed with LZ4, which its frame says is stored as it is."""
    batch = _batch(real)
    records = bytes(batch[RECORDS:])
    frame = LZ4_BEGINS + struct.pack("<I", len(records) | 0x80000000) + records + struct.pack("<I", 0)
    packed = bytearray(bytes(batch[:RECORDS]) + frame)
    struct.pack_into(">h", packed, ATTRIBUTES, LZ4)
    return _signed(packed)


UNREADABLE: dict[str, Callable[[Record], bytes]] = {
    "a header's name that is no text": nameless,
    "a codec that is not here": in_a_codec_we_lack,
}


async def put_raw(bootstrap: str, topic: str, batches: dict[int, bytes]) -> None:
    """Put whole record batches on partitions, past every check of a client."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.partitions_for(topic)
        leader = producer.client.cluster.leader_for_partition
        nodes = {leader(TopicPartition(topic, partition)) for partition in batches}
        assert len(nodes) == 1
        request = ProduceRequest(None, -1, 10_000, [(topic, list(batches.items()))])
        answer = await producer.client.send(nodes.pop(), request)
        errors = [told[1] for _, partitions in answer.topics for told in partitions]
        assert not any(errors), errors


def real_ones(found: Sequence[Any]) -> dict[int, Record]:
    """The last record of each partition, as it stands there."""
    return {r.partition: Record(r.key, r.value, list(r.headers), r.partition) for r in found}
