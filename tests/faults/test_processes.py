"""Workers are killed, frozen, joined by others and ended under load; then everything must still add up."""

from tests.faults.faults import frozen, killed, killed_at, killed_at_deadline, scaled
from tests.faults.town import MakeTown
from tests.faults.worker import DEADLINE_STEPS, STEPS
from tests.kit.kafka_broker import KafkaBroker

WITHOUT = [step for step in STEPS if step != "after ack"]
WITH_KAFKA = ["after ack", "in handler", "before commit", "after commit"]
"""What comes before is the same on both logs; the long tests repeat it."""


async def test_killed_at_every_step(
    mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, broker, seed=20)
    [worker] = await town.open()
    for step in WITH_KAFKA if broker else WITHOUT:
        await killed_at(town, worker, step, town.random.randint(1, 6))
    await town.progress()
    await town.check()


async def test_killed_at_deadlines_and_each_acts_once(mongodb_uri: str, make_town: MakeTown) -> None:
    """Nothing of this is different on Kafka; the long tests have both."""
    town = make_town(mongodb_uri, None, seed=30)
    for step, worker in zip(DEADLINE_STEPS, await town.open(2), strict=True):
        await killed_at_deadline(town, worker, step, town.random.randint(1, 6))
    await town.progress()
    await town.check()


async def test_frozen_for_longer_than_its_leases_and_sessions(
    mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, broker, seed=21)
    worker, _ = await town.open(2)
    await frozen(town, worker, seconds=8.5 if broker else 5)
    await town.progress()
    await town.check()


async def test_scaled_from_one_to_four_and_back(
    mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, broker, seed=26)
    await town.open()
    changes = await scaled(town)
    await town.progress()
    await town.check()
    in_flight, batch = 4, await town.largest_batch("ledger.statements")
    assert town.redelivered("ledger.statements") <= changes * (in_flight + batch)


async def test_clocks_a_minute_ahead_and_behind(
    mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, broker, seed=27)
    ahead, behind = await town.open(2, skew=60)
    for worker, clock in ((ahead, 60), (behind, -60)):
        async with town.load():
            await killed(town, worker, clock)  # the other takes its work over
        await town.progress()
    await town.check()
