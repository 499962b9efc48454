"""Deadlines act once on any number of replicas, whatever else happens to the document, and after restarts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import orjson
import pytest
from pydantic import Field

from shared.model.clock import moved, now
from shared.model.documents import Document, Publishes
from shared.model.events import Event
from shared.model.roles import Role
from shared.model.stateful import Stateful
from shared.model.workflow import History, Move, Queue, Workflow
from shared.service import Service
from shared.store import deadlines
from shared.store.deadlines import Closing, Deadline, Deadlines
from shared.store.store import Store
from tests.kit.waiting import eventually
from tests.shared.toy_hosts import Hosts, toy_settings

HOUR = timedelta(hours=1)


class Rang(Event, name="alarm.rang"):
    """An alarm rang for the nth time."""

    times: int


Rang.source = "ledger"


class Alarm(Document):
    """Rings at `rings_at`; `again` so many times more, an hour apart each."""

    collection: ClassVar[str] = "alarms"
    publishes: ClassVar[Publishes] = {Rang: ("times",)}
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
        self.record(Rang.of(self, times=self.rang))

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
        await eventually(has_rung)
    assert (await store.load(Alarm, "later")).rang == 1
    await hosts.close()


# ── the end of a window ──────────────────────────────────────────────────────────────────────────────


class EntryState(StrEnum):
    WAITING = "waiting"
    LAPSED = "lapsed"


ENTRY = Workflow(
    {"lapse": Move((EntryState.WAITING,), EntryState.LAPSED)},
    {EntryState.WAITING: Queue("resident", Role.RESIDENT)},
    {EntryState.WAITING: "lapse"},
)


class Edition(Document):
    """Something with a window."""

    collection: ClassVar[str] = "editions"
    ends_at: datetime | None

    def ended(self, _: datetime) -> None:
        self.ends_at = None


class Entry(Stateful):
    """Waits for a resident. `early`: not to be ended yet."""

    collection: ClassVar[str] = "entries"
    flow: ClassVar[Workflow] = ENTRY
    edition_id: str
    early: bool = False
    broken: bool = False
    state: EntryState = EntryState.WAITING

    def lapse(self, at: datetime) -> None:
        if self.broken:
            raise ValueError("it cannot lapse")
        if not self.early:
            self.move("lapse", at)


CLOSING = Closing(Entry, "edition_id", EntryState.WAITING, Entry.lapse, Edition, "ends_at", Edition.ended)


def test_a_service_whose_documents_would_hang_is_refused() -> None:
    Service("ledger", "账本", documents=[Entry, Edition], deadlines=[CLOSING])
    with pytest.raises(TypeError, match="no deadline of Entry"):
        Service("ledger", "账本", documents=[Entry, Edition])

    class Unsaid(Document):
        collection: ClassVar[str] = "unsaid"
        history: History = Field(default_factory=list)

    with pytest.raises(TypeError, match="does not name its flow"):
        Service("ledger", "账本", documents=[Unsaid])


async def lapsed(store: Store) -> list[str]:
    rows = await store.collection(Entry).find({"state": "lapsed"}).sort("_id").to_list(None)
    assert all(len(row["history"]) == 1 for row in rows)
    return [row["_id"] for row in rows]


async def close(*stores: Store) -> int:
    return sum(await asyncio.gather(*(Deadlines(store, [CLOSING]).once() for store in stores)))


async def test_when_a_window_ends_all_that_waits_in_it_ends_once(
    replicas: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "BATCH", 3)
    store, at = replicas[0], now()
    await Deadlines(store, [CLOSING]).prepare()
    await store.commit(Edition(id="past", ends_at=at))
    await store.commit(Edition(id="to-come", ends_at=at + HOUR))
    names = [f"e{n}" for n in range(8)]
    for name in names:
        await store.commit(Entry(id=name, edition_id="past"))
    await store.commit(Entry(id="other", edition_id="to-come"))
    # Who meets another at work leaves the window to the next look.
    assert await close(*replicas) + await close(*replicas) == len(names) + 1
    assert await lapsed(store) == names
    assert (await store.load(Edition, "past")).ends_at is None
    assert await close(*replicas) == 0


async def test_a_window_waits_for_what_is_too_early_or_cannot_end(replicas: list[Store]) -> None:
    store = replicas[0]
    await store.commit(Edition(id="past", ends_at=now()))
    for name, state in (("a", {}), ("b", {"early": True}), ("c", {"broken": True})):
        await store.commit(Entry(id=name, edition_id="past", **state))
    assert await close(store) == 1
    assert await lapsed(store) == ["a"]
    assert (await store.load(Edition, "past")).ends_at

    def mend(entry: Entry) -> None:
        entry.early = entry.broken = False

    for name in ("b", "c"):
        await store.change(Entry, name, mend)
    assert await close(store) == 3
    assert await lapsed(store) == ["a", "b", "c"]
    assert (await store.load(Edition, "past")).ends_at is None


async def test_a_window_that_is_moved_in_time_ends_nothing(replicas: list[Store]) -> None:
    store = replicas[0]
    await store.commit(Edition(id="moved", ends_at=now()))
    await store.commit(Entry(id="a", edition_id="moved"))
    later = now() + HOUR
    await store.change(Edition, "moved", lambda edition: setattr(edition, "ends_at", later))
    assert await close(*replicas) == 0
    with moved(HOUR):
        assert await close(*replicas) == 2
    assert await lapsed(store) == ["a"]
