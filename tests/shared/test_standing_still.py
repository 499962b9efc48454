"""A group that has something to read and does not get on is named, whatever the cause."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from shared.consumers import progress
from shared.consumers.declare import Consumer
from shared.consumers.runtime import Runtime
from shared.consumers.transaction import Transaction
from shared.host import Host
from shared.service import Service
from tests.kit.waiting import eventually
from tests.shared import toy
from tests.shared.toy import counted, paid, settled
from tests.shared.toy_hosts import Hosts

GROUP = "ledger.totals"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The looks of half a minute in two seconds."""
    assert 2 * progress.MEASURE + progress.STANDS < 30
    monkeypatch.setattr(progress, "MEASURE", 0.2)
    monkeypatch.setattr(progress, "STANDS", 0.8)


async def readiness(host: Host) -> dict[str, object]:
    transport = httpx.ASGITransport(app=host.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://toy") as http:
        answer = await http.get("/health/ready")
        assert answer.status_code == 200
        return dict(answer.json())


async def named(host: Host, group: str = GROUP) -> None:
    """By readiness, and by the metric."""

    async def told() -> bool:
        found = await readiness(host)
        labels = {"group": group, "source": "ledger"}
        stood = REGISTRY.get_sample_value("jinguo_consumer_stands_still_seconds", labels) or 0.0
        return (
            found["status"] == "degraded" and found["standing_still"] == [group] and stood >= progress.STANDS
        )

    await eventually(told, 20, f"{group} named")


async def gets_on(host: Host, count: int) -> None:
    async def done() -> bool:
        found = await readiness(host)
        return await counted(host.stores["ledger"]) == count and found["standing_still"] == []

    await eventually(done, 20, "it gets on")


# ── causes ───────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def held_by_another_that_does_nothing(host: Host) -> AsyncIterator[None]:
    leases = host.client[f"{host.settings.database_prefix}_log"]["leases"]
    held = {"holder": "another", "ends": datetime(2100, 1, 1, tzinfo=UTC)}
    await leases.update_one({"_id": f"group:{GROUP}"}, {"$set": held}, upsert=True)
    log: Any = host.log

    async def given_up() -> bool:
        return not any(s.lease.held for s in log._subscriptions if s.lease._name == f"group:{GROUP}")

    await eventually(given_up)
    yield
    await leases.delete_one({"_id": f"group:{GROUP}"})


@asynccontextmanager
async def renewed_in_a_loop(host: Host) -> AsyncIterator[None]:
    """The database refuses that its cursors move."""
    database = host.stores["ledger"].database
    frozen = {"$or": [{"group": {"$ne": GROUP}}, {"position": 0}]}
    await database.command("collMod", "cursors", validator=frozen)
    yield
    await database.command("collMod", "cursors", validator={})


Cause = Callable[[Host], object]


@pytest.mark.parametrize("cause", [held_by_another_that_does_nothing, renewed_in_a_loop])
async def test_it_is_named_and_no_more_once_it_gets_on(plain_hosts: Hosts, cause: Cause) -> None:
    host = await plain_hosts.start()
    await settled(host)

    async def has_cursors() -> bool:
        return await host.stores["ledger"].database["cursors"].count_documents({"group": GROUP}) == 12

    await eventually(has_cursors)
    async with cause(host):  # type: ignore[attr-defined]
        await paid(host.stores["ledger"], *"abc")
        await named(host)
    await gets_on(host, 3)


async def test_a_handler_that_never_comes_back_is_named(plain_hosts: Hosts) -> None:
    over = asyncio.Event()
    stuck = Consumer("ledger.stuck", tables={"totals": ()})

    @stuck.on(toy.PaidIn)
    async def never(event: toy.PaidIn, tx: Transaction) -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()
        tx.add("totals", "all", count=1)

    service = Service("ledger", "账本", documents=toy.service.documents, consumers=[stuck])
    host = await plain_hosts.start(service)
    await paid(host.stores["ledger"], "a")
    await named(host, "ledger.stuck")
    over.set()
    await gets_on(host, 1)


async def test_an_idle_group_and_one_whose_events_are_parked_are_not_named(plain_hosts: Hosts) -> None:
    host = await plain_hosts.start()
    toy.POISON.add("a.1.0")
    await paid(host.stores["ledger"], "a", "b")
    await settled(host)
    looks = 0

    async def looked_for_long() -> bool:
        nonlocal looks
        looks += 1
        assert (await readiness(host))["standing_still"] == []
        return looks > 60

    await eventually(looked_for_long)


async def test_partitions_held_by_a_member_that_does_nothing_are_named(kafka_hosts: Hosts) -> None:
    host = await kafka_hosts.start(toy.source_only)
    totals = Runtime(toy.totals, host.stores["ledger"], host.log)
    idle = host.log.subscribe(GROUP, ["ledger"], totals.cursors.load)

    async def holds_all() -> bool:
        await idle.fetch(100, 0.1)
        return len(idle._consumer.assignment()) == 12  # type: ignore[attr-defined]

    await eventually(holds_all, 30)
    other = await kafka_hosts.start()
    await paid(other.stores["ledger"], *[f"acc{number}" for number in range(24)])
    await named(other)
    await idle.close()
    await gets_on(other, 24)
