"""Handlers are slow, and cannot handle an event."""

from tests.faults.faults import poisoned, slow
from tests.faults.town import MakeTown
from tests.kit.kafka_broker import KafkaBroker


async def test_a_slow_consumer(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=30)
    await town.open(2)
    payments = 30
    await slow(town, seconds=0.2, payments=payments)
    await town.check()
    # What was fetched is in flight until it is committed: on a busy machine that can be all of it, once.
    batch = await town.largest_batch("ledger.statements")
    assert town.redelivered("ledger.statements") <= payments + batch


async def test_a_poisoned_event(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=31)
    await town.open(2)
    await poisoned(town)
    await town.check()
