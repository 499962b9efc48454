"""The network between a worker and a server is cut and healed."""

from tests.faults.faults import Cut, cut, kafka_cut_from, mongodb_cut_from
from tests.faults.town import MakeTown
from tests.kit.kafka_broker import KafkaBroker
from tests.kit.waiting import eventually


async def test_mongodb_cut_from_one_of_two_workers(
    mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, broker, seed=24, wired=True)
    worker, _ = await town.open(2)
    await town.pay(20)
    await mongodb_cut_from(town, worker, "reset" if broker else "silent")
    await town.progress()
    await town.check()


async def test_another_worker_publishes_when_the_relay_is_cut_from_kafka(
    mongodb_uri: str, kafka: KafkaBroker, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, kafka, seed=31, wired=True)
    await town.open(2)
    await town.pay(20)
    relay = await town.relay()

    async def another_relays() -> bool:
        return await town.relay() is not relay

    with cut(relay.kafka, "silent"):
        await town.pay(20)
        await eventually(another_relays, 30, "the one that is cut off gives the lease up")
        await town.progress(within=30)
    await town.progress()
    await town.check()


async def test_kafka_cut_from_a_worker(mongodb_uri: str, kafka: KafkaBroker, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, kafka, seed=29, wired=True)
    [worker] = await town.open()
    how: Cut
    for how in ("silent", "reset"):
        await kafka_cut_from(town, worker, how, seconds=3)
        await town.progress()
    await town.check()
