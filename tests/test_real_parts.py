"""The parts every other test stands on do what is expected of them."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import MongoClient

from shared.local.mongod import DataFolderInUse, Mongod, NoMongod, PortTaken, find_mongod
from tests.kit.kafka_broker import KafkaBroker
from tests.kit.servers import Shared

# ── mongod ──────────────────────────────────────────────────────────────────────────────────────────


def names(uri: str) -> list[str]:
    with MongoClient[dict[str, Any]](uri) as client:
        return [person["name"] for person in client.town.people.find()]


def add(uri: str, name: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        client.town.people.insert_one({"name": name})


def test_mongod_is_a_replica_set_with_transactions(mongodb_uri: str) -> None:
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        assert client.admin.command("hello")["setName"] == "rs0"
        with client.start_session() as session, session.start_transaction():
            client.real_parts.undone.insert_one({}, session=session)
            session.abort_transaction()
        with client.start_session() as session, session.start_transaction():
            client.real_parts.done.insert_one({}, session=session)
        assert client.real_parts.undone.count_documents({}) == 0
        assert client.real_parts.done.count_documents({}) == 1


def seconds_to_restart(mongod: Mongod, end: Callable[[Mongod], None]) -> float:
    end(mongod)
    began = time.monotonic()
    mongod.restart()
    return time.monotonic() - began


@pytest.mark.parametrize("end", [Mongod.stop, Mongod.kill])
def test_mongod_restarts_in_place_with_its_data(own_mongod: Mongod, end: Callable[[Mongod], None]) -> None:
    add(own_mongod.uri, "衢")
    uri = own_mongod.uri
    assert min(seconds_to_restart(own_mongod, end) for _ in range(3)) < 2.5  # a busy machine is slow at times
    assert own_mongod.uri == uri
    assert names(uri) == ["衢"]


def test_mongod_comes_back_on_another_port(own_mongod: Mongod) -> None:
    add(own_mongod.uri, "衢")
    own_mongod.stop()
    second = Mongod.start(own_mongod.data_dir)
    try:
        assert second.port != own_mongod.port
        assert names(second.uri) == ["衢"]
    finally:
        second.kill()


def test_a_data_folder_has_one_mongod(own_mongod: Mongod) -> None:
    with pytest.raises(DataFolderInUse, match="in use by another process"):
        Mongod.start(own_mongod.data_dir)
    assert names(own_mongod.uri) == []


def test_a_taken_port_is_named(own_mongod: Mongod, tmp_path: Path) -> None:
    with pytest.raises(PortTaken, match=str(own_mongod.port)):
        Mongod.start(tmp_path / "other", port=own_mongod.port)


def test_mongod_dies_with_its_killed_parent_and_the_folder_is_free_again(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from typing import Any
from shared.local.mongod import Mongod
print(Mongod.start(Path(sys.argv[1])).uri, flush=True)
time.sleep(100)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        uri = parent.stdout.readline().strip()
        add(uri, "衢")
        parent.kill()
    heir = Mongod.start(tmp_path)  # waits for the orphan to end
    try:
        assert names(heir.uri) == ["衢"]
    finally:
        heir.kill()


def test_without_any_mongod_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(NoMongod, match="set MONGODB_URI or install mongod"):
        find_mongod()


def test_the_found_mongod_can_be_run() -> None:
    assert os.access(find_mongod(), os.X_OK)


# ── Kafka ───────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def send(bootstrap: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await asyncio.wait_for(producer.send_and_wait(topic, value), 20)
    finally:
        await producer.stop()


async def values(bootstrap: str, topic: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        found: list[bytes] = []
        while len(found) < end:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += [record.value for record in records]
        return found
    finally:
        await consumer.stop()


@pytest.fixture
async def topic(own_kafka: KafkaBroker) -> str:
    name = f"real-parts-{uuid4()}"
    async with admin(own_kafka.bootstrap) as client:
        await client.create_topics([NewTopic(name, 1, 1)])
    return name


async def test_kafka_keeps_what_it_acknowledged_through_a_sigkill(own_kafka: KafkaBroker, topic: str) -> None:
    await send(own_kafka.bootstrap, topic, b"before")
    own_kafka.kill()
    own_kafka.start()
    await send(own_kafka.bootstrap, topic, b"after")
    assert await values(own_kafka.bootstrap, topic) == [b"before", b"after"]


async def test_kafka_keeps_its_data_through_an_orderly_stop(own_kafka: KafkaBroker, topic: str) -> None:
    await send(own_kafka.bootstrap, topic, b"before")
    own_kafka.stop()
    own_kafka.start()
    assert await values(own_kafka.bootstrap, topic) == [b"before"]


async def test_kafka_answers_nothing_while_paused(own_kafka: KafkaBroker, topic: str) -> None:
    own_kafka.pause()
    try:
        sending = asyncio.create_task(send(own_kafka.bootstrap, topic, b"late"))
        await asyncio.sleep(1)
        assert not sending.done()
    finally:
        own_kafka.resume()
    await sending
    assert await values(own_kafka.bootstrap, topic) == [b"late"]


async def test_a_wiped_kafka_is_empty(own_kafka: KafkaBroker, topic: str) -> None:
    bootstrap = own_kafka.bootstrap
    await send(bootstrap, topic, b"gone")
    own_kafka.wipe()
    own_kafka.start()
    assert own_kafka.bootstrap == bootstrap
    async with admin(bootstrap) as client:
        assert topic not in await client.list_topics()


# ── one server for all workers ──────────────────────────────────────────────────────────────────────


def test_a_server_of_the_run_is_started_once_and_ends_when_its_last_user_has_left(tmp_path: Path) -> None:
    told = list[str]()

    @contextmanager
    def running() -> Iterator[str]:
        told.append("started")
        yield f"address {told.count('started')}"
        told.append("ended")

    owner, other, late = (Shared(tmp_path, "server", running) for _ in range(3))
    assert owner.join() == other.join() == "address 1"
    with ThreadPoolExecutor(1) as ending:
        left = ending.submit(owner.leave)
        assert not wait([left], timeout=0.1).done
        assert told == ["started"]
        other.leave()
        left.result(10)
    assert told == ["started", "ended"]
    assert late.join() == "address 2"
    late.leave()


def test_who_needs_a_server_that_did_not_start_starts_it(tmp_path: Path) -> None:
    @contextmanager
    def failing() -> Iterator[str]:
        raise OSError
        yield

    with pytest.raises(OSError):
        Shared(tmp_path, "server", failing).join()
    heir = Shared(tmp_path, "server", lambda: nullcontext("address"))
    assert heir.join() == "address"
    heir.leave()
