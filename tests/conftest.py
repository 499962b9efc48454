"""The real parts that tests run on: started when first asked for, once a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory

import pytest
from issuing import Issuing, issuing
from kafka_broker import KafkaBroker, NoKafka, find_broker

from shared.local.mongod import Mongod

ROOM = 4 * 2**30
"""Bytes that the databases of a run need."""
LONGEST = ("test_log_contract.py", "test_processes.py", "test_servers.py", "test_real_parts.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: then no worker is left alone with one of them while the other has done."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@contextmanager
def memory_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, where there is room: on a disk the tests of rules mostly wait for it."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or disk_usage(memory).free < ROOM:
        yield tmp_path_factory.mktemp("mongod")
        return
    with TemporaryDirectory(prefix="jinguo-mongod-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    with memory_folder(tmp_path_factory) as folder:
        node = Mongod.start(folder)
        yield node
        node.kill()


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuing]:
    with issuing(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="session")
def mongodb_uri(mongod: Mongod) -> str:
    return mongod.uri


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """Whoever stops, kills, wipes or pauses it brings it back."""
    try:
        broker = find_broker(tmp_path_factory.mktemp("kafka"))
    except NoKafka as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a Kafka: {error}")
        pytest.skip(str(error))
    try:
        broker.start()
        yield broker
    finally:
        broker.discard()


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka: KafkaBroker) -> str:
    return kafka.bootstrap
