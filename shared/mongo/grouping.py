"""Calls that would each cross the network go together: group commit, group load."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from shared.mongo.driver import away, guarded

T = TypeVar("T")
R = TypeVar("R")
PAUSE = 0.002
"""Seconds that a group waits for more where it would be smaller than the one before: only under load."""


class Grouped(Generic[T, R]):
    """`await grouped(item)` runs `run(items)` for all callers of one event-loop turn, or of the time
    that an earlier run takes.

    `run` answers one result or exception per item, in order; an exception it raises goes to every
    caller. A caller that is cancelled neither cancels nor loses the others, nor its own item. A caller
    waits at most `seconds`, then gets Unavailable: one clock for a group is much cheaper than one for each.
    """

    def __init__(
        self,
        run: Callable[[list[T]], Awaitable[list[R | Exception]]],
        seconds: float,
        *,
        limit: int = 500,
        in_flight: int = 1,
    ) -> None:
        self._run = run
        self._seconds = seconds
        self._limit = limit
        self._in_flight = in_flight
        self._waiting: deque[tuple[T, asyncio.Future[R], float]] = deque()
        self._workers: set[asyncio.Task[None] | None] = set()

    def __call__(self, item: T) -> asyncio.Future[R]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, future, loop.time() + self._seconds))
        if len(self._workers) < self._in_flight:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
        return future

    async def _work(self) -> None:
        await asyncio.sleep(0)  # let the other commands of this turn join
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
            results = await self._bounded([item for item, _, _ in group], until=group[0][2])
            for (_, future, _), result in zip(group, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
            self._refuse_late()
            if 0 < len(self._waiting) < len(group):  # many come: each group costs a round trip
                await asyncio.sleep(PAUSE)
        # Before anybody else runs: an item that comes from now on starts a worker of its own.
        self._workers.discard(asyncio.current_task())

    async def _bounded(self, items: list[T], until: float) -> list[R | Exception]:
        """`run`, for as long as the first of its callers may wait."""
        try:
            async with guarded(until - asyncio.get_running_loop().time()):
                return await self._run(items)
        except Exception as error:
            return [error] * len(items)

    def _refuse_late(self) -> None:
        """Answer those whose time went by while they waited for an earlier group."""
        now = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0][2] <= now:
            _, future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(away())
