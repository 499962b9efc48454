"""What befalls a town. The short tests let each happen once or twice, the long ones for minutes.

Each function returns when the fault has ended; what must hold then is the town's to check.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pymongo import MongoClient

from shared.local.mongod import Mongod
from tests.faults.disk import Disk
from tests.faults.network import Wire
from tests.faults.town import Town, Worker
from tests.kit.kafka_broker import JavaBroker, KafkaBroker
from tests.kit.waiting import eventually

# ── processes ────────────────────────────────────────────────────────────────────────────────────────


async def killed(town: Town, worker: Worker, skew: float = 0) -> None:
    """SIGKILL at a moment nobody chose, and back, with a clock that is so many seconds ahead."""
    worker.kill()
    worker.start(skew)
    await town.serving(worker)


async def killed_at(town: Town, worker: Worker, step: str, countdown: int) -> None:
    """A worker kills itself at a step under load, and comes back. Fails when it never passed there."""

    async def killed_itself() -> bool:
        return worker.killed_itself

    async with town.load():
        worker.order(step, countdown)
        await eventually(killed_itself, 30, f"a kill {step}")
        worker.start()
        await town.serving(worker)


async def killed_at_deadline(town: Town, worker: Worker, step: str, countdown: int) -> None:
    """A worker kills itself at a deadline; the others, or it when it is back, act on what is due."""

    async def killed_itself() -> bool:
        return worker.killed_itself

    worker.order(step, countdown)
    async with town.load():
        await town.promise(24, within=4)
        await eventually(killed_itself, 30, f"a kill {step}")
        worker.start()
        await town.serving(worker)


async def frozen(town: Town, worker: Worker, seconds: float) -> None:
    """A worker stands still for longer than its leases and sessions last; the others carry on."""
    worker.signal(signal.SIGSTOP)
    try:
        async with town.load():
            await asyncio.sleep(seconds)
    finally:
        worker.signal(signal.SIGCONT)


async def scaled(town: Town, most: int = 4) -> int:
    """Workers join under load until there are `most`; then the oldest leave in order until one is left.
    Returns how many came and went."""
    async with town.load():
        while len(town.workers) < most:
            await town.worker()
        while len(town.workers) > 1:
            await town.retire(town.workers[0])
    return 2 * (most - 1)


# ── MongoDB ──────────────────────────────────────────────────────────────────────────────────────────


async def mongodb_restarted(mongod: Mongod) -> None:
    """SIGKILL, and back on the same data."""
    mongod.kill()
    await asyncio.to_thread(mongod.restart)


async def stepped_down(mongod: Mongod) -> None:
    """The only node refuses writes for 3 s, as between two primaries."""
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        await asyncio.to_thread(client.admin.command, "replSetStepDown", 3, force=True)


async def another_primary(town: Town, end: Callable[[], None]) -> None:
    """The primary steps down, or is killed, under load."""
    async with town.load():
        await asyncio.to_thread(end)


# ── Kafka ────────────────────────────────────────────────────────────────────────────────────────────


async def without_broker(town: Town, broker: KafkaBroker, end: Callable[[], None]) -> None:
    """The broker ends and comes back; commands are acknowledged meanwhile."""
    end()
    try:
        await town.pay(20)
    finally:
        await asyncio.to_thread(broker.start)


async def disk_full(town: Town, broker: JavaBroker, disk: Disk) -> None:
    """The broker's disk is full until it gives up; with room again it is started again."""

    async def given_up() -> bool:
        return not broker.running

    try:
        async with town.load():
            disk.fill()
            await eventually(given_up, 60, "the broker gives up")
        await town.pay(20)
    finally:
        disk.free()
        await asyncio.to_thread(broker.start)


# ── the network ──────────────────────────────────────────────────────────────────────────────────────

Cut = Literal["silent", "forgotten", "reset"]
"""`silent`: everything hangs, and goes on where it stopped; `forgotten`: what hung stays so, new
connections are well; `reset`: both ends are told."""
CUTS: tuple[Cut, ...] = ("silent", "forgotten", "reset")
ANSWER_SECONDS = 2.5


@contextmanager
def cut(wire: Wire | None, how: Cut) -> Iterator[None]:
    assert wire, "a town without wires"
    if how == "reset":
        wire.reset()
    else:
        wire.silence()
    try:
        yield
    finally:
        wire.heal(forget=how == "forgotten")


async def mongodb_cut_from(town: Town, worker: Worker, how: Cut) -> None:
    """One worker cannot reach MongoDB: it says so in time, and the others do all the work."""
    others = [other for other in town.workers if other is not worker]
    with cut(worker.mongodb, how):
        async with town.load():
            for _ in range(2):
                assert await town.refused(worker, via=others) < ANSWER_SECONDS
        await town.progress(within=30, via=others)  # until the cut one's sessions and leases are over
    await town.serving(worker)


async def kafka_cut_from(town: Town, worker: Worker, how: Cut, seconds: float) -> None:
    """A worker cannot reach Kafka: both acknowledge commands meanwhile."""
    with cut(worker.kafka, how):
        async with town.load():
            await asyncio.sleep(seconds)
            await town.pay(10, via=[worker])


# ── handlers ─────────────────────────────────────────────────────────────────────────────────────────


async def slow(town: Town, seconds: float, payments: int) -> None:
    """The handler of one group takes long for each event; the other group and the commands carry on."""
    for worker in town.workers:
        worker.order("slow", seconds)
    try:
        await town.pay(payments)
        await town.progress(groups=["ledger.totals"])
        assert await town.lag("ledger.statements"), "it was not slow"
        await town.settled(payments * seconds + 15)
    finally:
        for worker in town.workers:
            worker.order("slow", 0)


async def poisoned(town: Town, within: float = 40) -> None:
    """An account's events cannot be handled for a while: they are parked, the others take effect, and so
    do they once the poison is gone, within so many seconds."""
    account = town.random.choice(town.accounts)
    for worker in town.workers:
        worker.order("poison", account)
    try:
        await town.pay(20)
        await town.pay(2, to=account)
        await town.progress()
        assert await town.parked() == {account}
    finally:
        for worker in town.workers:
            worker.order("poison", "")

    async def freed() -> bool:
        return not await town.parked()

    await eventually(freed, within, "parked events are tried again")
