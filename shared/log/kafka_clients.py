"""Clients of Kafka that come up, answer and end within a bounded time, whatever state the broker is in."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.log.broker import Broker
from shared.model.events import PARTITIONS

DEADLINE = 10.0
"""Seconds that any call to the broker may take."""
REACH = 4_000
"""Milliseconds for each step of reaching a broker with a client that is thrown away afterwards. The
client's own limit: what is cancelled in the middle of connecting leaves its socket open."""
GRACE = 2.0
"""Seconds that are waited for a client which is being started when it is given up."""
TOPIC_CONFIG = {
    "retention.ms": str(7 * 24 * 3600 * 1000),
    "compression.type": "producer",
    # A replica whose clock is an hour fast would be refused; when it happened, an event says itself.
    "message.timestamp.type": "LogAppendTime",
}
T = TypeVar("T")


async def bounded(call: Awaitable[T], seconds: float = DEADLINE) -> T:
    """Wait for a broker call no longer than that. Raises TimeoutError.

    Two things aiokafka does with the broker away would end us for good: not to accept its cancellation
    (`asyncio.wait_for` waits for that), and to let the cancellation of a task of its own out of a call.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_ignore)
    if not task.done() or task.cancelled():
        raise TimeoutError
    return task.result()


async def started(client: Any) -> None:
    """Start one of aiokafka's clients. Raises KafkaError, OSError, TimeoutError.

    Who is cancelled meanwhile lets it come to its end, for a moment: cut off between two steps of reaching
    the broker it would leave its socket open.
    """
    starting = asyncio.ensure_future(client.start())
    try:
        await bounded(asyncio.shield(starting))
    finally:
        if not starting.done():
            await asyncio.wait([starting], timeout=GRACE)
        starting.cancel()
        starting.add_done_callback(_ignore)


async def discard(client: Any, seconds: float = 3) -> None:
    """Stop one of aiokafka's producers and consumers, and end by force what its own `stop` leaves behind.

    With the broker away a producer waits there for what it could not send. Given up, it would go on trying
    for ever, over connections that nobody closes.
    """
    try:
        await bounded(client.stop(), seconds)
    except (KafkaError, OSError, TimeoutError):
        tasks = _tasks_of(client)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        connections = getattr(client, "client", None) or client._client
        with suppress(KafkaError, OSError, TimeoutError):
            await bounded(connections.close(), 1)


def _tasks_of(client: Any) -> list["asyncio.Task[Any]"]:
    """The tasks that a client and its parts run."""
    parts = [getattr(client, name, None) for name in ("_sender", "_coordinator", "_fetcher")]
    held = [value for part in parts if part is not None for value in vars(part).values()]
    inner = [item for value in held if isinstance(value, set | list) for item in value]
    return [value for value in (*held, *inner) if isinstance(value, asyncio.Task)]


def _ignore(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled():
        task.exception()


async def create_topics(broker: Broker, topics: Sequence[str], replication: int) -> None:
    """Create the topics as declared here; those that exist are left alone."""
    admin = AIOKafkaAdminClient(**broker.options, request_timeout_ms=REACH)
    try:
        await started(admin)
        new = [NewTopic(topic, PARTITIONS, replication, topic_configs=TOPIC_CONFIG) for topic in topics]
        answer = await bounded(admin.create_topics(new))
        for error in answer.topic_errors:
            if error[1] not in (0, TopicAlreadyExistsError.errno):
                raise for_code(error[1])(error[2])
    finally:
        with suppress(KafkaError, OSError, TimeoutError):
            await bounded(admin.close(), 3)


async def end_offsets(broker: Broker, topic: str) -> dict[int, int]:
    """Where each partition of a topic ends. Raises KafkaError or TimeoutError."""
    consumer = AIOKafkaConsumer(**broker.options, enable_auto_commit=False, request_timeout_ms=REACH)
    try:
        await started(consumer)
        partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await bounded(consumer.end_offsets(partitions))
        return {tp.partition: offset for tp, offset in ends.items()}
    finally:
        await discard(consumer)
