"""Towns of worker processes, on either log."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from disk import Disk, small_disk
from kafka_broker import JavaBroker, KafkaBroker
from replica_set import ReplicaSet

from shared.local.mongod import Mongod

sys.path.insert(0, str(Path(__file__).parent.parent / "shared"))

from town import MakeTown, Town


@pytest.fixture(params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> KafkaBroker | None:
    """Kafka, or None for the embedded log."""
    if request.param == "embedded":
        return None
    node: KafkaBroker = request.getfixturevalue("kafka")
    node.start()  # should a test before have failed to bring it back
    return node


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[Mongod]:
    """One that the test may harm."""
    node = Mongod.start(tmp_path / "mongod")
    yield node
    node.kill()


@pytest.fixture
async def make_town(tmp_path: Path) -> AsyncIterator[MakeTown]:
    """`make_town(uri, broker, seed)`: a town that is torn down afterwards."""
    towns: list[Town] = []

    def make(uri: str, broker: KafkaBroker | None, seed: int, *, wired: bool = False) -> Town:
        towns.append(Town(uri, broker, tmp_path, seed, wired=wired))
        return towns[-1]

    yield make
    for town in towns:
        await town.close()


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[ReplicaSet]:
    nodes = ReplicaSet.start(tmp_path / "replica_set")
    yield nodes
    nodes.kill()


@pytest.fixture
def cramped(kafka: KafkaBroker, tmp_path: Path) -> Iterator[tuple[JavaBroker, Disk]]:
    """A broker of its own, on a small disk."""
    if not isinstance(kafka, JavaBroker):
        pytest.skip("needs a Kafka that runs as a process here")
    with small_disk(tmp_path / "disk", megabytes=64) as disk:
        broker = JavaBroker(tmp_path, disk.path / "data")
        try:
            broker.start()
            yield broker, disk
        finally:
            broker.discard()
