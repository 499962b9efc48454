"""Deadlines act once on any number of replicas, whatever else happens to the document, and after restarts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import orjson
import pytest
from toy import until
from toy_hosts import Hosts, toy_settings

from shared import deadlines
from shared.clock import moved, now
from shared.deadlines import Deadline, Deadlines
from shared.documents import Document
from shared.events import Event
from shared.service import Service
from shared.store.store import Store

HOUR = timedelta(hours=1)


class Rang(Event, name="alarm.rang"):
    """An alarm rang for the nth time."""

    times: int


Rang.source = "ledger"


class Alarm(Document):
    """Rings at `rings_at`; `again` so many times more, an hour apart each."""

    collection: ClassVar[str] = "alarms"
    rings_at: datetime | None
    again: int = 0
    rang: int = 0
    broken: bool = False
    snoozed: int = 0

    def ring(self, at: datetime) -> None:
        if self.broken:
            raise ValueError("it cannot ring")
        self.rang += 1
        self.rings_at, self.again = (at + HOUR, self.again - 1) if self.again else (None, 0)
        self.record(Rang(times=self.rang))

    def snooze(self) -> None:
        self.snoozed += 1


class Stuck(Alarm):
    """Its rule forgets to clear the deadline."""

    collection: ClassVar[str] = "stuck"

    def ring(self, at: datetime) -> None:
        self.rang += 1


DEADLINES = (Deadline(Alarm, "rings_at", Alarm.ring), Deadline(Stuck, "rings_at", Stuck.ring))
service = Service("ledger", "账本", documents=[Alarm, Stuck], deadlines=DEADLINES)


@pytest.fixture
async def replicas(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[list[Store]]:
    """Two that run nothing by themselves."""
    made = Hosts(toy_settings(mongodb_uri, None, tmp_path))
    yield [(await made.prepare(service)).stores["ledger"] for _ in range(2)]
    await made.close()


async def rang(store: Store, alarm: str) -> list[int]:
    """What the stored events say."""
    row = await store.collection(Alarm).find_one({"_id": alarm})
    assert row
    return [orjson.loads(entry["data"])["times"] for entry in row["outbox"]]


async def acted(*stores: Store) -> int:
    """All replicas act at the same time. How many documents changed."""
    return sum(await asyncio.gather(*(Deadlines(store, DEADLINES).once() for store in stores)))


async def test_a_deadline_acts_when_its_instant_has_passed_and_not_before(replicas: list[Store]) -> None:
    store = replicas[0]
    await store.commit(Alarm(id="a", rings_at=now() + HOUR))
    await store.commit(Alarm(id="never", rings_at=None))
    assert await acted(store) == 0
    with moved(HOUR):
        assert await acted(store) == 1
        assert await acted(store) == 0
    alarm = await store.load(Alarm, "a")
    assert (alarm.rang, alarm.rings_at, await rang(store, "a")) == (1, None, [1])


async def test_of_many_replicas_one_acts_on_each_deadline(replicas: list[Store]) -> None:
    due = now() + HOUR
    many = [Alarm(id=f"a{number:03}", rings_at=due) for number in range(deadlines.BATCH * 2 + 7)]
    await asyncio.gather(*(replicas[0].commit(alarm) for alarm in many))
    with moved(HOUR):
        assert await acted(*replicas, *replicas) == len(many)
    assert await replicas[0].count(Alarm, {"rang": 1, "outbox": {"$size": 1}}, limit=1000) == len(many)


async def test_commands_at_the_same_time_neither_stop_nor_double_it(replicas: list[Store]) -> None:
    here, there = replicas
    await here.commit(Alarm(id="a", rings_at=now()))
    snoozes = (store.change(Alarm, "a", Alarm.snooze) for store in (here, there) for _ in range(3))
    results = await asyncio.gather(acted(here, there), *snoozes)
    assert results[0] == 1
    alarm = await here.load(Alarm, "a")
    assert (alarm.rang, alarm.snoozed, await rang(here, "a")) == (1, 6, [1])


async def test_a_rule_may_set_the_next_deadline(replicas: list[Store]) -> None:
    await replicas[0].commit(Alarm(id="a", rings_at=now() + HOUR, again=2))
    for _ in range(4):
        with moved(HOUR * 9):
            await acted(*replicas)
        if (alarm := await replicas[0].load(Alarm, "a")).rings_at:
            await replicas[0].change(Alarm, "a", lambda found: setattr(found, "rings_at", now()))
    assert (alarm.rang, alarm.rings_at) == (3, None)


async def test_one_that_fails_holds_up_no_other_and_is_tried_again(
    replicas: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "PAUSES", (0.0,))
    store = replicas[0]
    earlier = [Alarm(id=f"b{n:03}", rings_at=now() - HOUR, broken=True) for n in range(deadlines.BATCH + 1)]
    await asyncio.gather(*(store.commit(alarm) for alarm in [*earlier, Alarm(id="good", rings_at=now())]))
    await store.commit(Stuck(id="stuck", rings_at=now()))
    acting = Deadlines(store, DEADLINES)
    assert await acting.once() == 1
    assert (await store.load(Alarm, "good")).rang == 1
    assert (await store.load(Stuck, "stuck")).rang == 0  # a rule that would act for ever is not stored
    await store.change(Alarm, "b000", lambda alarm: setattr(alarm, "broken", False))
    assert await acting.once() == 1
    assert (await store.load(Alarm, "b000")).rang == 1


async def test_hosts_act_by_themselves_and_go_on_after_a_restart(mongodb_uri: str, tmp_path: Path) -> None:
    hosts = Hosts(toy_settings(mongodb_uri, None, tmp_path))
    first = await hosts.start(service)
    await first.stores["ledger"].commit(Alarm(id="later", rings_at=now() + HOUR))
    await hosts.stop(first)
    both = [await hosts.start(service) for _ in range(2)]
    store = both[0].stores["ledger"]
    indexes = await store.collection(Alarm).index_information()
    assert "due_rings_at" in indexes

    async def has_rung() -> bool:
        return (await store.load(Alarm, "later")).rang > 0

    with moved(HOUR):
        await until(has_rung)
    assert (await store.load(Alarm, "later")).rang == 1
    await hosts.close()
