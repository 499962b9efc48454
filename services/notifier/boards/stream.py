"""A board over server-sent events: snapshot, then what changes; resumed without a gap."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Protocol

from pydantic import BaseModel
from sse_starlette import ServerSentEvent

from services.notifier.boards.cells import Key
from services.notifier.boards.freshness import Reset
from services.notifier.boards.live import Live
from shared.consumers.tables import Stamps

HEARTBEAT = 15.0
LONGEST = 3600.0
"""Seconds after which a stream ends: the client comes back with its last id, and nothing is missed."""
Told = Sequence[ServerSentEvent]


async def follow(live: Live, since: str | None) -> AsyncIterator[ServerSentEvent]:
    """Snapshot (or what changed since `since`), then every change, until the client goes away."""
    telling: _Telling = _Figures(live) if live.board.hides else _Deltas(live)
    async with live.watched():
        await live.refresh()
        news = live.news
        for told in telling.opening(since):
            yield told
        loop = asyncio.get_running_loop()
        stale, beat = live.stale_since, loop.time() + HEARTBEAT
        ends = loop.time() + LONGEST
        while loop.time() < ends:
            await _wait(news, min(beat - loop.time(), 1.0))
            news = live.news  # before looking, so that what comes while we look is not slept through
            events = [*telling.changes()]
            if stale != live.stale_since or loop.time() >= beat:
                stale, beat = live.stale_since, loop.time() + HEARTBEAT
                events.append(telling.heartbeat())
            for told in events:
                yield told


class _Telling(Protocol):
    """What one client is told."""

    def opening(self, since: str | None) -> Told: ...
    def changes(self) -> Told: ...
    def heartbeat(self) -> ServerSentEvent: ...


class _Deltas:
    """The cells that changed, each with its value of now."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._seen = 0

    def opening(self, since: str | None) -> Told:
        cells = self._live.cells
        self._seen = cells.revision
        if since is None:
            return [self._snapshot()]
        stamps, reading = Stamps.parse(since), cells.reading
        assert reading is not None
        if stamps is None or not reading.stamps.reaches(stamps):
            return self._anew("无法从此处续传 / this id cannot be resumed from")
        return [*self._delta(cells.since(stamps)), self.heartbeat()]

    def changes(self) -> Told:
        cells, seen = self._live.cells, self._seen
        self._seen = cells.revision
        if cells.begun > seen:
            return self._anew("看板已重建 / the dashboard was rebuilt")
        return self._delta(cells.after(seen))

    def heartbeat(self) -> ServerSentEvent:
        return _event("heartbeat", self._live.freshness())

    def _anew(self, reason: str) -> Told:
        reset = Reset(**self._live.freshness().model_dump(), reason=reason)
        return [_event("reset", reset), self._snapshot()]

    def _snapshot(self) -> ServerSentEvent:
        return _event("snapshot", self._live.view(), self._live.freshness().id)

    def _delta(self, changed: list[Key]) -> Told:
        # All cells of one reading go in one event: if they shared an id over several, a client cut off
        # between them would come back with that id and miss the rest.
        if not changed:
            return []
        fresh = self._live.freshness()
        return [_event("delta", self._live.board.delta(self._live.cells, changed, fresh), fresh.id)]


class _Figures:
    """The whole board whenever a figure that is shown changed.

    Not the cells: what is merged to hide a small group depends on all figures, so one that grows may cut the
    others anew. And no id: it would count what is not shown. Whoever comes back gets the board whole.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._shown: BaseModel | None = None

    def opening(self, since: str | None) -> Told:
        return self.changes()

    def changes(self) -> Told:
        view = self._live.view()
        if self._shown is not None and _figures(view) == _figures(self._shown):
            return []
        self._shown = view
        return [_event("snapshot", view)]

    def heartbeat(self) -> ServerSentEvent:
        fresh = self._live.freshness()
        return ServerSentEvent(fresh.model_dump_json(include={"as_of", "stale_since"}), event="heartbeat")


def _figures(view: BaseModel) -> BaseModel:
    return view.model_copy(update={"as_of": None, "stale_since": None})


def _event(name: str, data: BaseModel, event_id: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(data.model_dump_json(), event=name, id=event_id)


async def _wait(news: asyncio.Event, seconds: float) -> None:
    # Not `wait_for`: before Python 3.12 it loses a cancellation that comes together with the news.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
