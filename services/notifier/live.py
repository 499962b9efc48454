"""The live pledge dashboard: one board per process, kept fresh while anybody watches, told over SSE."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import structlog
from pydantic import BaseModel
from sse_starlette import ServerSentEvent

from services.notifier.domain.board import Board, Cell, Vector
from services.notifier.domain.board_views import Delta, Freshness, Reset, Snapshot, snapshot
from services.notifier.queries.board import oldest_unread, read
from shared.clock import now
from shared.store.driver import guarded
from shared.store.store import Store

POLL = 0.2
"""Seconds between looks at the database, while anybody watches."""
LOOK_BEHIND = 1.0
"""Seconds between looks at what the archive holds beyond the cursors."""
HEARTBEAT = 15.0
STALE = timedelta(seconds=5)
log = structlog.get_logger()


class Live:
    """The board, the poller that all clients share, and what tells them that there is news."""

    def __init__(self, store: Store) -> None:
        self.board = Board()
        self.news = asyncio.Event()
        """Set, and replaced by a new one, when there is something to tell."""
        self._store = store
        self._reading = asyncio.Lock()
        self._begun = self._done = 0
        self._watchers = 0
        self._poller: asyncio.Task[None] | None = None
        self._oldest_unread: datetime | None = None
        self._looked_behind = float("-inf")

    async def refresh(self) -> None:
        """Bring the board up to this instant. Raises Unavailable."""
        came = self._begun
        async with guarded(self._store.timeout), self._reading:  # waiting for another's look included
            if self._done > came:  # somebody's look began after we came: it is ours too
                return
            self._begun += 1
            known = self.board.reading
            reading = await read(self._store, known.vector if known else None)
            stale = self.stale_since
            await self._look_behind(reading.cursors)
            changed = self.board.apply(reading)
            self._done = self._begun
            if changed or stale != self.stale_since:
                self._tell()

    async def _look_behind(self, cursors: tuple[int, ...]) -> None:
        clock = asyncio.get_running_loop().time()
        if clock - self._looked_behind >= LOOK_BEHIND:
            self._oldest_unread = await oldest_unread(self._store, cursors)
            self._looked_behind = clock

    def _tell(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    @property
    def stale_since(self) -> datetime | None:
        """Since when the board does not show what happened; None while it is fresh."""
        reading = self.board.reading
        instants = (self._oldest_unread, reading.at if reading else None)
        return min((at for at in instants if at and now() - at > STALE), default=None)

    def freshness(self) -> Freshness:
        """How far and how fresh the board is."""
        reading = self.board.reading
        assert reading is not None
        return Freshness(
            id=str(reading.vector),
            as_of=reading.at,
            stale_since=self.stale_since,
            waiting=reading.parked,
        )

    def snapshot(self) -> Snapshot:
        """The whole dashboard."""
        return snapshot(self.board.cells, self.freshness())

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keep the board fresh while the block runs: the first starts the poller, the last ends it."""
        self._watchers += 1
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll_forever(), name="notifier.board")
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._poller.cancel()
                self._poller = None

    async def _poll_forever(self) -> None:
        while True:
            try:
                await self.refresh()
            except Exception as error:  # shown as stale, and tried again
                log.warning("dashboard not read", error=repr(error))
            await asyncio.sleep(POLL)


async def follow(live: Live, since: str | None) -> AsyncIterator[ServerSentEvent]:
    """Snapshot (or what changed since `since`), then every change, until the client goes away."""
    async with live.watched():
        await live.refresh()
        seen = live.board.revision
        news = live.news
        for told in _opening(live, since):
            yield told
        loop = asyncio.get_running_loop()
        stale, beat = live.stale_since, loop.time() + HEARTBEAT
        while True:
            await _wait(news, min(beat - loop.time(), 1.0))
            news = live.news  # before looking, so that what comes while we look is not slept through
            events = _changes(live, seen)
            seen = live.board.revision
            if stale != live.stale_since or loop.time() >= beat:
                stale, beat = live.stale_since, loop.time() + HEARTBEAT
                events.append(event("heartbeat", live.freshness()))
            for told in events:
                yield told


def _opening(live: Live, since: str | None) -> list[ServerSentEvent]:
    if since is None:
        return [_snapshot(live)]
    vector, reading = Vector.parse(since), live.board.reading
    assert reading is not None
    if vector is None or not reading.vector.reaches(vector):
        return _anew(live, "无法从此处续传 / this id cannot be resumed from")
    return [*_delta(live, live.board.since(vector)), event("heartbeat", live.freshness())]


def _changes(live: Live, seen: int) -> list[ServerSentEvent]:
    if live.board.begun > seen:
        return _anew(live, "看板已重建 / the dashboard was rebuilt")
    return _delta(live, live.board.after(seen))


def _anew(live: Live, reason: str) -> list[ServerSentEvent]:
    return [event("reset", Reset(**live.freshness().model_dump(), reason=reason)), _snapshot(live)]


def _snapshot(live: Live) -> ServerSentEvent:
    whole = live.snapshot()
    return event("snapshot", whole, whole.id)


def _delta(live: Live, cells: list[Cell]) -> list[ServerSentEvent]:
    # All cells of one reading go in one event: if they shared an id over several, a client cut off
    # between them would come back with that id and miss the rest.
    fresh = live.freshness()
    return [event("delta", Delta(**fresh.model_dump(), cells=cells), fresh.id)] if cells else []


def event(name: str, data: BaseModel, event_id: str | None = None) -> ServerSentEvent:
    """One event of a stream."""
    return ServerSentEvent(data.model_dump_json(), event=name, id=event_id)


async def _wait(news: asyncio.Event, seconds: float) -> None:
    # Not `wait_for`: before Python 3.12 it loses a cancellation that comes together with the news.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
