"""Live boards: one per process and declaration, kept fresh while anybody watches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog
from pydantic import BaseModel

from services.notifier.boards.cells import Cells
from services.notifier.boards.declare import Board
from services.notifier.boards.freshness import Freshness
from shared.consumers.tables import oldest_unread, read_table
from shared.model.clock import now
from shared.model.problems import Unavailable
from shared.mongo.driver import guarded
from shared.store.store import Store

POLL = 0.2
"""Seconds between looks at the database, while anybody watches."""
LOOK_BEHIND = 1.0
"""Seconds between looks at what the archives hold beyond the cursors."""
STALE = timedelta(seconds=5)
MOST = 2000
"""Streams of one board in one process. Who comes then is told to try again, perhaps at another replica."""
log = structlog.get_logger()


class Live:
    """The board, the poller that all clients share, and what tells them that there is news."""

    def __init__(self, store: Store, board: Board) -> None:
        self.board = board
        self.cells = Cells(board.by)
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
            known = self.cells.reading
            consumer, table = self.board.consumer, self.board.table
            reading = await read_table(self._store, consumer.group, table, known.stamps if known else None)
            stale = self.stale_since
            clock = asyncio.get_running_loop().time()
            if clock - self._looked_behind >= LOOK_BEHIND:
                self._oldest_unread = await oldest_unread(self._store, consumer.sources, reading.cursors)
                self._looked_behind = clock
            changed = self.cells.apply(reading)
            self._done = self._begun
            if changed or stale != self.stale_since:
                self._tell()

    def _tell(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    @property
    def stale_since(self) -> datetime | None:
        """Since when the board does not show what happened; None while it is fresh."""
        reading = self.cells.reading
        instants = (self._oldest_unread, reading.at if reading else None)
        return min((at for at in instants if at and now() - at > STALE), default=None)

    def freshness(self) -> Freshness:
        """How far and how fresh the board is."""
        reading = self.cells.reading
        assert reading is not None
        return Freshness(
            id=str(reading.stamps),
            as_of=reading.at,
            stale_since=self.stale_since,
            waiting=reading.parked,
        )

    def view(self) -> BaseModel:
        """The whole board."""
        return self.board.view(self.cells, self.freshness())

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keep the board fresh while the block runs: the first starts the poller, the last ends it."""
        self._watchers += 1
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll_forever(), name=self.board.group)
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._poller.cancel()
                self._poller = None

    def check_room(self) -> None:
        """Raises Unavailable when as many watch as may."""
        if self._watchers >= MOST:
            raise Unavailable("观看人数过多，请稍后重试 / Too many are watching", retry_after=30)

    async def _poll_forever(self) -> None:
        while True:
            try:
                await self.refresh()
            except Exception as error:  # shown as stale, and tried again
                log.warning("board not read", board=self.board.source, error=repr(error))
            await asyncio.sleep(POLL)


class Boards:
    """The live boards of one process: each is made when it is first asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: dict[str, Live] = {}

    def live(self, board: Board) -> Live:
        """That of a declaration."""
        if board.source not in self._live:
            self._live[board.source] = Live(self._store, board)
        return self._live[board.source]
