"""MongoDB and Kafka are killed, wiped, made to step down and filled up under load."""

import pytest

from shared.local.mongod import Mongod
from tests.faults.disk import Disk
from tests.faults.faults import another_primary, disk_full, mongodb_restarted, without_broker
from tests.faults.replica_set import ReplicaSet
from tests.faults.town import MakeTown
from tests.kit.kafka_broker import JavaBroker, KafkaBroker

pytestmark = pytest.mark.timeout(240)  # servers start slowly on a busy machine


async def test_mongodb_restarted(own_mongod: Mongod, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(own_mongod.uri, broker, seed=22)
    await town.open()
    async with town.load():
        await mongodb_restarted(own_mongod)
    await town.progress()
    await town.check()


async def test_the_primary_steps_down_and_is_killed(
    replica_set: ReplicaSet, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(replica_set.uri, broker, seed=25)
    await town.open()
    for end in (replica_set.step_down, replica_set.kill_primary):
        await another_primary(town, end)
        await town.progress()
    await town.check()


async def test_broker_bounced_and_wiped(
    mongodb_uri: str, own_kafka: KafkaBroker, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, own_kafka, seed=23)
    await town.open()
    for end in (own_kafka.kill, own_kafka.wipe):
        await town.pay(40)
        await without_broker(town, own_kafka, end)
        await town.progress()
        await town.check()


async def test_the_disk_of_the_broker_is_full(
    mongodb_uri: str, cramped: tuple[JavaBroker, Disk], make_town: MakeTown
) -> None:
    broker, disk = cramped
    town = make_town(mongodb_uri, broker, seed=28)
    await town.open()
    await town.pay(40)
    await disk_full(town, broker, disk)
    await town.progress()
    await town.check()
