"""The real parts that tests run on: started when first asked for, once a run."""

import os
from collections.abc import Iterator

import pytest
from issuing import Issuing, issuing
from kafka_broker import KafkaBroker, NoKafka, find_broker

from shared.mongod import Mongod

LONGEST = ("test_log_contract.py", "test_processes.py", "test_servers.py", "test_real_parts.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: then no worker is left alone with one of them while the other has done."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    node = Mongod.start(tmp_path_factory.mktemp("mongod"))
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
