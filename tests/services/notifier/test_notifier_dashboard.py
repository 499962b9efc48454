"""The dashboard: equal to the counts, live, and resumed without a gap."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from jinguo.connection import Platform
from jinguo.operations import replay
from services.notifier.activities.pledges import BOARD
from services.notifier.app import service
from services.notifier.boards.audit import projection_of
from services.notifier.boards.live import Live
from services.notifier.boards.stream import follow
from shared.city.divisions import communities, county_of
from shared.contracts.pledges import HouseholdCheckedIn, ObservationRecorded, PledgeWithdrawn, TalkHeld
from shared.local.child import free_port
from shared.model.clock import now
from shared.model.events import Event
from tests.kit.hosts import over_asgi, running
from tests.kit.issuing import Issuing
from tests.kit.settings import settings_of
from tests.kit.waiting import eventually
from tests.services.notifier.desk import DAY, QUJIANG, Desk, signed

COLUMNS, GROUP = BOARD.counted, BOARD.group
Cells = dict[tuple[str, str], dict[str, int]]


class Client:
    """A client of the stream: keeps the cells as a page does, and what it heard."""

    def __init__(self, live: Live, since: str | None = None) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.cells: Cells = {}
        self.id = since
        self._events = follow(live, since)
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self._events:
            data = json.loads(str(event.data))
            if event.event == "snapshot":
                self.cells = cells_of(data)
            elif event.event == "delta":
                self.cells |= cells_of(data)
            self.id = event.id or self.id
            self.heard.append((str(event.event), data))

    async def hears(self, name: str, count: int = 1) -> Any:
        """The `count`-th event of a name, once it came."""

        def found() -> Any:
            if self._task.done():
                self._task.result()
            named = [data for event, data in self.heard if event == name]
            return named[count - 1] if len(named) >= count else None

        return await eventually(found)

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._events.aclose()  # type: ignore[attr-defined]


@asynccontextmanager
async def listening(live: Live, since: str | None = None) -> AsyncIterator[Client]:
    client = Client(live, since)
    try:
        yield client
    finally:
        await client.leave()


def cells_of(data: Any) -> Cells:
    return {(cell["county"], cell["day"]): {c: cell[c] for c in COLUMNS} for cell in data["cells"]}


@pytest.fixture
def live(desk: Desk) -> Live:
    return Live(desk.store, BOARD)


def some_events(count: int, seed: int) -> list[tuple[str, Event]]:
    """Events of all kinds in many places, on a few days, for subjects of every partition."""
    chance, places = random.Random(seed), list(communities())[:: 1664 // 40]
    events: list[tuple[str, Event]] = []
    for number in range(count):
        place, day = chance.choice(places).code, DAY + timedelta(days=chance.randrange(4))
        at: dict[str, Any] = {"division": place, "day": day, "campaign_id": "c1"}
        pledge = signed(f"p{number}", place, day, members=chance.randint(1, 6))
        kinds = [
            pledge,
            PledgeWithdrawn(**pledge.model_dump(exclude={"role", "members"}), signed_day=day),
            HouseholdCheckedIn(**at, pledge_id="x", signer="p", streak=1),
            TalkHeld(**at, talk_id="t", team_id="t", attendees=3),
            ObservationRecorded(**at, observation_id="o", team_id="t", tables=4, with_serving_chopsticks=2),
        ]
        events.append((f"s{number % 50}", chance.choices(kinds, weights=[8, 1, 4, 1, 1])[0]))
    return events


NAMES = {
    "pledge.signed": "signed",
    "pledge.withdrawn": "withdrawn",
    "household.checked-in": "checked_in",
    "talk.held": "talks",
    "observation.recorded": "observations",
}


def counted(events: list[tuple[str, Event]]) -> dict[tuple[str, str], Counter[str]]:
    """What the dashboard must show, counted from the events themselves."""
    cells: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for _, event in events:
        day: date = event.day  # type: ignore[attr-defined]
        cell = cells[county_of(event.division or ""), day.isoformat()]
        cell[NAMES[event.event_name]] += 1
        cell["members"] += getattr(event, "members", 0)
    return cells


def nonzero(cells: Any) -> Any:
    return {key: {c: n for c, n in cell.items() if n} for key, cell in cells.items()}


async def test_the_dashboard_equals_the_counts(desk: Desk) -> None:
    events = some_events(600, seed=7)
    await desk.publish(*events)
    await desk.consumed()

    expected = counted(events)
    board = await desk.get("/dashboards/pledges")
    assert nonzero(cells_of(board)) == nonzero(expected)
    everything: Counter[str] = sum(expected.values(), Counter())
    assert {c: board["totals"][c] for c in COLUMNS if board["totals"][c]} == everything
    assert board["totals"]["counted"] == everything["signed"] - everything["withdrawn"]
    for column in COLUMNS:
        for part in ("by_county", "by_day"):
            assert sum(row[column] for row in board[part]) == everything[column]
    audited = await projection_of(BOARD).shown(desk.store)
    assert audited["330802:2026-03-08"].keys() == set(COLUMNS)
    assert sum(row["members"] for row in audited.values()) == everything["members"]


async def test_a_client_gets_a_snapshot_and_then_every_change(desk: Desk, live: Live) -> None:
    await desk.publish(("a", signed("p1", members=2)))
    await desk.consumed()
    async with listening(live) as client, listening(live) as second:
        first = await client.hears("snapshot")
        assert first["totals"]["signed"] == 1

        await desk.publish(("b", signed("p2", QUJIANG)))
        delta = await client.hears("delta")
        assert cells_of(delta).keys() == {("330803", "2026-03-08")}
        await desk.publish(("a", signed("p3", members=5)))
        delta = await client.hears("delta", 2)
        assert nonzero(cells_of(delta)) == {("330802", "2026-03-08"): {"signed": 2, "members": 7}}
        assert client.id == delta["id"] != first["id"]
        assert await second.hears("delta", 2) == delta
        assert live._poller is not None and live._watchers == 2
    assert live._poller is None


async def test_resuming_gives_exactly_what_was_missed(desk: Desk, live: Live) -> None:
    events = some_events(300, seed=1)
    await desk.publish(*events)
    await desk.consumed()
    async with listening(live) as client:
        await client.hears("snapshot")
    missed = some_events(5, seed=2)
    await desk.publish(*missed)
    await desk.consumed()

    for process in (live, Live(desk.store, BOARD)):  # the same one, and another that was never asked before
        async with listening(process, client.id) as back:
            delta = await back.hears("delta")
            await back.hears("heartbeat")
            assert [name for name, _ in back.heard] == ["delta", "heartbeat"]
        expected = counted(events + missed)
        assert cells_of(delta).keys() == counted(missed).keys()
        assert nonzero(cells_of(delta)) == nonzero({key: expected[key] for key in counted(missed)})
        assert nonzero(client.cells | back.cells) == nonzero(expected)

    async with listening(live, back.id) as again:  # nothing happened since
        await again.hears("heartbeat")
        assert [name for name, _ in again.heard] == ["heartbeat"]


async def test_a_client_that_hops_on_and_off_under_load_misses_nothing(desk: Desk) -> None:
    events = some_events(400, seed=3)

    async def publish() -> None:
        for start in range(0, len(events), 10):
            await desk.publish(*events[start : start + 10])

    publishing = asyncio.create_task(publish())
    cells: Cells = {}
    since: str | None = None
    expected = nonzero(counted(events))
    async with asyncio.timeout(60):
        while nonzero(cells) != expected:
            async with listening(Live(desk.store, BOARD), since) as client:
                await eventually(lambda client=client: client.heard)
            assert not [name for name, _ in client.heard if name == "reset"]
            cells, since = cells | client.cells, client.id
    await publishing


@pytest.mark.parametrize("since", ["nonsense", "7" + ".0" * 12, "0" + ".999999" * 12])
async def test_an_id_that_cannot_be_resumed_from_is_said_so(desk: Desk, live: Live, since: str) -> None:
    await desk.publish(("a", signed()))
    await desk.consumed()
    async with listening(live, since) as client:
        await client.hears("snapshot")
        assert [name for name, _ in client.heard] == ["reset", "snapshot"]
        assert client.heard[0][1]["reason"]


async def test_a_rebuilt_table_starts_connected_clients_anew(desk: Desk, live: Live) -> None:
    events = some_events(100, seed=4)
    await desk.publish(*events)
    await desk.consumed()
    async with listening(live) as client:
        await client.hears("snapshot")
        async for _ in replay(Platform(desk.host.client, desk.host.settings), GROUP):
            pass
        await client.hears("reset")
        await client.hears("snapshot", 2)
        assert nonzero(client.cells) == nonzero(counted(events))
        assert client.id is not None and client.id.startswith("1.")

        await desk.publish(("a", signed(division=QUJIANG, day=DAY + timedelta(days=30))))
        assert len(cells_of(await client.hears("delta"))) == 1


async def test_a_parked_event_reaches_clients_that_resumed_past_it(desk: Desk, live: Live) -> None:
    nowhere = signed().model_copy(update={"division": "339999"})
    await desk.publish(
        ("a", signed()),
        ("b", nowhere),
        ("c", signed()),
        ("b", signed("p5")),
        ("a", signed()),
        ("d", signed()),
    )
    await desk.consumed()

    board = await desk.get("/dashboards/pledges")
    assert board["waiting"] == 2  # the event, and its successor of the same subject
    assert board["totals"]["signed"] == 4
    runtime = next(r for r in desk.host.runtimes if r.consumer.group == GROUP)
    async with listening(live) as client:
        await client.hears("snapshot")
    parked = desk.store.database["parked"]
    rows = await parked.find({"group": GROUP}).sort("position", 1).to_list(None)
    mended = rows[0]["event"]["data"].replace("339999", QUJIANG)
    await parked.update_one({"_id": rows[0]["_id"]}, {"$set": {"event.data": mended}})
    for row in rows:
        assert await runtime.parking.retry(row["_id"])
    await eventually(lambda: _signed(desk, 6))

    async with listening(live, client.id) as back:
        await back.hears("delta")
        assert sum(cell["signed"] for cell in (client.cells | back.cells).values()) == 6


async def _signed(desk: Desk, expected: int) -> bool:
    board = await desk.get("/dashboards/pledges")
    return bool(board["totals"]["signed"] == expected and board["waiting"] == 0)


async def test_stale_since_tells_when_the_projection_lags(
    mongodb_uri: str, tmp_path: Path, issuer: Issuing
) -> None:
    nobody_reads = [replace(service, consumers=[])]
    async with running(nobody_reads, settings_of(mongodb_uri, tmp_path)) as host, over_asgi(host) as http:
        desk = Desk(host, http, issuer)
        live = Live(desk.store, BOARD)
        async with listening(live) as client:
            assert (await client.hears("snapshot"))["stale_since"] is None
            old = now() - timedelta(seconds=6)
            await desk.publish(("a", signed()), at=old)
            beat = await client.hears("heartbeat")
            assert beat["stale_since"] == old.isoformat().replace("+00:00", "Z")


async def test_the_stream_over_http_resumes_by_last_event_id(desk: Desk) -> None:
    await desk.publish(("a", signed()))
    await desk.consumed()
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(desk.http._transport.app, port=port, lifespan="off", log_config=None)  # type: ignore[attr-defined]
    )
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/notifier/dashboards/pledges") as http:
            first = await _first_event(http, {})
            assert (first["event"], json.loads(first["data"])["totals"]["signed"]) == ("snapshot", 1)
            await desk.publish(("b", signed(division=QUJIANG)))
            await desk.consumed()
            second = await _first_event(http, {"Last-Event-ID": first["id"]})
            assert second["event"] == "delta"
            assert cells_of(json.loads(second["data"])).keys() == {("330803", "2026-03-08")}
            page = await http.get("/page")
            assert "公筷公勺进家庭" in page.text and "智慧新城妇联" in page.text and second["id"] in page.text
    finally:
        server.should_exit = True
        await serving


async def _first_event(http: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, str]:
    """The first event of a new connection, which is then cut."""
    fields: dict[str, str] = {}
    async with http.stream("GET", "/stream", headers=headers, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if not line:
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
    raise AssertionError("the stream ended")
