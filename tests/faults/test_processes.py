"""Real processes are killed, frozen and cut off under load; then everything must still add up."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

import pytest
from kafka_broker import KafkaBroker
from town import MakeTown, Town, Worker
from toy import until
from worker import STEPS

from shared.mongod import Mongod

LONG = 300.0
"""Seconds of faults in a long run."""


async def kill_at(town: Town, worker: Worker, step: str, countdown: int) -> None:
    """Let a worker kill itself at a step under load, and start it again. Fails when it never passed there."""
    worker.arm(step, countdown)

    async def killed() -> bool:
        return worker.killed_itself

    async def bring_back() -> None:
        await until(killed, 30, f"a kill {step}")
        worker.start()

    async with asyncio.TaskGroup() as group:
        back = group.create_task(bring_back())
        while not back.done():
            await town.pay(8, clients=4)
    await town.serving(worker)


async def freeze(worker: Worker, town: Town, seconds: float) -> None:
    """Stop a worker's clock for longer than its leases and sessions last; the others carry on."""
    worker.signal(signal.SIGSTOP)
    try:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await town.pay(8, clients=4)
    finally:
        worker.signal(signal.SIGCONT)


# ── seconds each ─────────────────────────────────────────────────────────────────────────────────────


async def test_killed_at_every_step(
    mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, broker, seed=20)
    worker = await town.worker()
    await town.open_accounts()
    for step in STEPS:
        if step == "after ack" and broker is None:
            continue
        await kill_at(town, worker, step, town.random.randint(1, 6))
        await town.progress()
        await town.check()


async def test_frozen_for_longer_than_its_leases_and_sessions(
    mongodb_uri: str, broker: KafkaBroker | None, make_town: MakeTown
) -> None:
    town = make_town(mongodb_uri, broker, seed=21)
    worker, _ = await town.worker(), await town.worker()
    await town.open_accounts()
    await town.pay(20)
    await freeze(worker, town, seconds=8.5 if broker else 5)
    await town.progress()
    await town.check()


async def test_mongodb_restarted(own_mongod: Mongod, broker: KafkaBroker | None, make_town: MakeTown) -> None:
    town = make_town(own_mongod.uri, broker, seed=22)
    await town.worker()
    await town.open_accounts()
    async with asyncio.TaskGroup() as group:
        paying = group.create_task(town.pay(150))
        await asyncio.sleep(0.2)  # under load
        await restart_mongod(own_mongod)
        assert not paying.done()
    await town.progress()
    await town.check()


async def test_broker_bounced_and_wiped(mongodb_uri: str, kafka: KafkaBroker, make_town: MakeTown) -> None:
    town = make_town(mongodb_uri, kafka, seed=23)
    await town.worker()
    await town.open_accounts()
    for end in (kafka.kill, kafka.wipe):
        await town.pay(40)
        await without_broker(town, kafka, end)
        await town.progress()
        await town.check()


async def restart_mongod(mongod: Mongod) -> None:
    """SIGKILL, and back on the same data."""
    mongod.kill()
    await asyncio.to_thread(mongod.restart)


async def without_broker(town: Town, broker: KafkaBroker, end: Callable[[], None]) -> None:
    """End the broker and bring it back; commands are acknowledged meanwhile."""
    end()
    try:
        await town.pay(20)
    finally:
        await asyncio.to_thread(broker.start)


# ── long ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.long
@pytest.mark.parametrize("seed", [1])
async def test_random_faults_for_five_minutes(
    own_mongod: Mongod, broker: KafkaBroker | None, make_town: MakeTown, seed: int
) -> None:
    town = make_town(own_mongod.uri, broker, seed)
    workers = [await town.worker(), await town.worker()]
    await town.open_accounts()

    async def one_fault() -> None:
        worker = town.random.choice(workers)
        faults: list[Callable[[], Awaitable[None]]] = [
            lambda: kill(town, worker),
            lambda: freeze(worker, town, town.random.uniform(1, 12)),
            lambda: restart_mongod(own_mongod),
        ]
        if broker:
            faults += [
                lambda: without_broker(town, broker, broker.kill),
                lambda: without_broker(town, broker, broker.wipe),
            ]
        await town.random.choice(faults)()

    ends = time.monotonic() + LONG
    while time.monotonic() < ends:
        async with asyncio.TaskGroup() as group:
            group.create_task(town.pay(town.random.randint(50, 200)))
            await one_fault()
        await town.progress()
    await town.check()


async def kill(town: Town, worker: Worker) -> None:
    """SIGKILL at a moment nobody chose, and back."""
    worker.kill()
    worker.start()
    await town.serving(worker)
