"""Hosts of the toy service, on either log."""

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.kit.kafka_broker import KafkaBroker
from tests.shared import toy
from tests.shared.toy_hosts import Hosts, toy_hosts, toy_settings


@pytest.fixture(params=["embedded", "kafka"])
def log_address(request: pytest.FixtureRequest) -> str | None:
    """The address of Kafka, or None for the embedded log."""
    if request.param == "embedded":
        return None
    broker: KafkaBroker = request.getfixturevalue("kafka")
    return broker.bootstrap


@pytest.fixture
async def hosts(
    request: pytest.FixtureRequest, mongodb_uri: str, log_address: str | None, tmp_path: Path
) -> AsyncIterator[Hosts]:
    """On both logs."""
    async with toy_hosts(toy_settings(mongodb_uri, log_address, tmp_path), request.path.name) as made:
        yield made


@pytest.fixture
async def kafka_hosts(mongodb_uri: str, kafka: KafkaBroker, tmp_path: Path) -> AsyncIterator[Hosts]:
    async with toy_hosts(toy_settings(mongodb_uri, kafka.bootstrap, tmp_path)) as made:
        yield made
    gc.collect()  # what a test leaks is told now, to that test


@pytest.fixture
async def fragile_hosts(mongodb_uri: str, own_kafka: KafkaBroker, tmp_path: Path) -> AsyncIterator[Hosts]:
    """On a Kafka that the test may harm."""
    async with toy_hosts(toy_settings(mongodb_uri, own_kafka.bootstrap, tmp_path)) as made:
        yield made
    gc.collect()


@pytest.fixture
async def plain_hosts(
    request: pytest.FixtureRequest, mongodb_uri: str, tmp_path: Path
) -> AsyncIterator[Hosts]:
    """Without Kafka, for what has nothing to do with the log."""
    async with toy_hosts(toy_settings(mongodb_uri, None, tmp_path), request.path.name) as made:
        yield made


@pytest.fixture(autouse=True)
def no_poison_left() -> Iterator[None]:
    yield
    toy.POISON.clear()
