"""Each fault again and again for five minutes, then all of them at random; `make test-long`.

LONG_SECONDS shortens them for trying out.
"""

import os
import time
from collections.abc import Awaitable, Callable
from itertools import cycle

import pytest

from shared.local.mongod import Mongod
from tests.faults.disk import Disk
from tests.faults.faults import (
    CUTS,
    another_primary,
    disk_full,
    frozen,
    kafka_cut_from,
    killed,
    killed_at,
    killed_at_deadline,
    mongodb_cut_from,
    mongodb_restarted,
    poisoned,
    scaled,
    slow,
    stepped_down,
    without_broker,
)
from tests.faults.replica_set import ReplicaSet
from tests.faults.town import MakeTown, Town
from tests.faults.worker import DEADLINE_STEPS, STEPS
from tests.kit.kafka_broker import JavaBroker, KafkaBroker

pytestmark = pytest.mark.long
LONG = float(os.environ.get("LONG_SECONDS", 300))
SKEWS = (-60.0, 0.0, 60.0)
Strike = Callable[[], Awaitable[object]]


async def under_load(town: Town, fault: Awaitable[object]) -> None:
    async with town.load():
        await fault


async def for_long(town: Town, strike: Strike) -> None:
    """Strike until the time is over; after each there is progress, and at the end all adds up."""
    ends = time.monotonic() + LONG
    while time.monotonic() < ends:
        await strike()
        await town.progress()
    await town.check()


# ── workers, their handlers and their network ────────────────────────────────────────────────────────


async def test_killed_at_every_step(
    mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, broker, seed=1)
    [worker] = await town.open()
    steps = cycle(step for step in STEPS if broker or step != "after ack")
    await for_long(town, lambda: killed_at(town, worker, next(steps), town.random.randint(1, 20)))


async def test_killed_at_deadlines(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=13)
    turns = cycle(zip(DEADLINE_STEPS, await town.open(2), strict=True))

    async def strike() -> None:
        step, worker = next(turns)
        await killed_at_deadline(town, worker, step, town.random.randint(1, 10))

    await for_long(town, strike)


async def test_frozen(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=2)
    workers = cycle(await town.open(2))
    await for_long(town, lambda: frozen(town, next(workers), town.random.uniform(1, 12)))


async def test_scaled(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=3)
    await town.open()
    await for_long(town, lambda: scaled(town))


async def test_clocks_apart(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=4)
    workers = cycle(await town.open(2, skew=60))

    await for_long(town, lambda: under_load(town, killed(town, next(workers), town.random.choice(SKEWS))))


async def test_slow_consumer(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=5)
    await town.open(2)
    await for_long(town, lambda: slow(town, town.random.uniform(0.05, 0.5), payments=60))


async def test_poisoned_event(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=6)
    await town.open(2)
    await for_long(town, lambda: poisoned(town))


async def test_mongodb_cut(mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, broker, seed=7, wired=True)
    workers = cycle(await town.open(2))
    await for_long(town, lambda: mongodb_cut_from(town, next(workers), town.random.choice(CUTS)))


async def test_kafka_cut(mongodb_uri: str, kafka: KafkaBroker, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, kafka, seed=8, wired=True)
    workers = cycle(await town.open(2))

    async def cut() -> None:
        seconds = town.random.uniform(1, 20)
        await kafka_cut_from(town, next(workers), town.random.choice(CUTS), seconds)

    await for_long(town, cut)


# ── servers ──────────────────────────────────────────────────────────────────────────────────────────


async def test_mongodb_restarted(own_mongod: Mongod, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(own_mongod.uri, broker, seed=9)
    await town.open(2)
    await for_long(town, lambda: under_load(town, mongodb_restarted(own_mongod)))


async def test_another_primary(
    replica_set: ReplicaSet, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(replica_set.uri, broker, seed=10)
    await town.open(2)
    ends = (replica_set.step_down, replica_set.kill_primary)
    await for_long(town, lambda: another_primary(town, town.random.choice(ends)))


async def test_broker_bounced_and_wiped(
    mongodb_uri: str, own_kafka: KafkaBroker, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, own_kafka, seed=11)
    await town.open(2)
    ends = (own_kafka.kill, own_kafka.wipe)
    await for_long(town, lambda: without_broker(town, own_kafka, town.random.choice(ends)))


async def test_disk_full(mongodb_uri: str, cramped: tuple[JavaBroker, Disk], make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, cramped[0], seed=12)
    await town.open(2)
    await for_long(town, lambda: disk_full(town, *cramped))


# ── all of them ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("log", ["embedded", "kafka"])
@pytest.mark.parametrize("seed", [1])
async def test_everything_at_random(
    request: pytest.FixtureRequest, own_mongod: Mongod, make_town: MakeTown, log: str, seed: int
) -> None:
    broker, disk = request.getfixturevalue("cramped") if log == "kafka" else (None, None)
    town = make_town(own_mongod.uri, broker, seed, wired=True)
    await town.open(2)
    strikes = _of_workers(town) + _of_mongodb(town, own_mongod)
    if broker:
        strikes += _of_kafka(town, broker, disk)

    async def strike() -> None:
        while len(town.workers) < 2:
            await town.worker()
        await town.random.choice(strikes)()

    await for_long(town, strike)


def _of_workers(town: Town) -> list[Strike]:
    some = town.random
    return [
        lambda: under_load(town, killed(town, some.choice(town.workers), some.choice(SKEWS))),
        lambda: frozen(town, some.choice(town.workers), some.uniform(1, 12)),
        lambda: scaled(town),
        lambda: slow(town, some.uniform(0.05, 0.5), payments=40),
        # Pauses count by the clock of whoever parked, and clocks are up to two minutes apart.
        lambda: poisoned(town, within=240),
    ]


def _of_mongodb(town: Town, mongod: Mongod) -> list[Strike]:
    some = town.random
    return [
        lambda: under_load(town, mongodb_restarted(mongod)),
        lambda: under_load(town, stepped_down(mongod)),
        lambda: mongodb_cut_from(town, some.choice(town.workers), some.choice(CUTS)),
    ]


def _of_kafka(town: Town, broker: JavaBroker, disk: Disk) -> list[Strike]:
    some = town.random
    return [
        lambda: without_broker(town, broker, broker.kill),
        lambda: without_broker(town, broker, broker.wipe),
        lambda: kafka_cut_from(town, some.choice(town.workers), some.choice(CUTS), some.uniform(1, 20)),
        lambda: disk_full(town, broker, disk),
    ]
