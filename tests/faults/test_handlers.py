"""Handlers are slow, and cannot handle an event."""

from faults import poisoned, slow
from kafka_broker import KafkaBroker
from town import MakeTown


async def test_a_slow_consumer(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=30)
    await town.open(2)
    await slow(town, seconds=0.2, payments=30)
    await town.check()
    # At most one batch changed hands while it was handled, if a lease ran out on a busy machine.
    assert town.redelivered("ledger.statements") <= await town.largest_batch("ledger.statements")


async def test_a_poisoned_event(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=31)
    await town.open(2)
    await poisoned(town)
    await town.check()
