"""Towns of worker processes, on either log."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.disk import Disk, small_disk
from tests.faults.replica_set import ReplicaSet
from tests.faults.town import MakeTown, Town
from tests.kit.kafka_broker import JavaBroker, KafkaBroker, a_broker
from tests.kit.memory import memory_folder


@pytest.fixture(params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> KafkaBroker | None:
    """Kafka, or None for the embedded log."""
    if request.param == "embedded":
        return None
    node: KafkaBroker = request.getfixturevalue("kafka")
    return node


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
    with memory_folder(tmp_path / "replica_set") as folder:
        nodes = ReplicaSet.start(folder)
        yield nodes
        nodes.kill()


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[tuple[JavaBroker, Disk]]:
    """A broker of its own, on a small disk."""
    if not isinstance(a_broker(tmp_path), JavaBroker):
        pytest.skip("needs a Kafka that runs as a process here")
    with small_disk(tmp_path / "disk", megabytes=64) as disk:
        broker = JavaBroker(tmp_path, disk.path / "data")
        try:
            broker.start()
            yield broker, disk
        finally:
            broker.discard()
