"""Calls that would each cross the network go together: group commit, group load."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Grouped(Generic[T, R]):
    """`await grouped(item)` runs `run(items)` for all callers of one event-loop turn, or of the time
    that an earlier run takes.

    `run` answers one result or exception per item, in order; an exception it raises goes to every
    caller. A caller that is cancelled neither cancels nor loses the others, nor its own item.
    """

    def __init__(
        self,
        run: Callable[[list[T]], Awaitable[list[R | Exception]]],
        *,
        limit: int = 500,
        in_flight: int = 1,
    ) -> None:
        self._run = run
        self._limit = limit
        self._in_flight = in_flight
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._workers: set[asyncio.Task[None] | None] = set()

    def __call__(self, item: T) -> asyncio.Future[R]:
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._workers) < self._in_flight:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
        return future

    async def _work(self) -> None:
        await asyncio.sleep(0)  # let the other commands of this turn join
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
            try:
                results = await self._run([item for item, _ in group])
            except Exception as error:
                results = [error] * len(group)
            for (_, future), result in zip(group, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
        # Before anybody else runs: an item that comes from now on starts a worker of its own.
        self._workers.discard(asyncio.current_task())
