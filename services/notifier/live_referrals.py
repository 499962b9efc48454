"""The live referral dashboard: the whole board whenever a figure changed.

Not the cells that changed, as the pledge dashboard tells: what is merged to hide a small group depends on
all figures, so one that grows may cut the others anew. The board is small, and whoever comes back
after a cut gets it whole.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from pydantic import BaseModel
from sse_starlette import ServerSentEvent

from services.notifier.domain.referral_board import ReferralBoard
from services.notifier.live import HEARTBEAT, event
from services.notifier.queries.referral_board import read_board
from shared.problems import Unavailable
from shared.store.store import Store

POLL = 1.0
"""Seconds for which a reading is good, however many watch."""


class Heartbeat(BaseModel):
    """Nothing changed; `stale_since` is set while the board cannot be read."""

    as_of: datetime
    stale_since: datetime | None = None


class LiveReferrals:
    """The board of this process, read at most once in POLL seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self._board: ReferralBoard | None = None
        self._read_at = float("-inf")

    async def latest(self) -> ReferralBoard:
        """The board, no older than POLL. Raises Unavailable."""
        async with self._lock:
            clock = asyncio.get_running_loop().time
            if self._board is None or clock() - self._read_at > POLL:
                self._board = await read_board(self._store)
                self._read_at = clock()
            return self._board


async def follow(live: LiveReferrals, shown: ReferralBoard) -> AsyncIterator[ServerSentEvent]:
    """`shown`, then every change of a figure, until the client goes away; in between, heartbeats."""
    yield event("snapshot", shown)
    clock = asyncio.get_running_loop().time
    known, was_stale, beat = shown, False, clock() + HEARTBEAT
    while True:
        await asyncio.sleep(POLL)
        stale = False
        try:
            known = await live.latest()
        except Unavailable:
            stale = True
        if _figures(known) != _figures(shown):
            shown = known
            yield event("snapshot", shown)
        if stale != was_stale or clock() >= beat:
            was_stale, beat = stale, clock() + HEARTBEAT
            yield event("heartbeat", _heartbeat(known.as_of, stale))


def _heartbeat(as_of: datetime, stale: bool) -> Heartbeat:
    return Heartbeat(as_of=as_of, stale_since=as_of if stale else None)


def _figures(board: ReferralBoard) -> BaseModel:
    return board.model_copy(update={"as_of": None})
