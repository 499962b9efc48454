"""How many requests a minute a caller or an address may make, counted together by all replicas.

Requests that come together are counted in one write and one read, so that counting costs a request next to
nothing; a round trip for each, as libraries do it, would cost it a third. Whoever is over the limit is
remembered here until the minute is over: a flood reaches the database no more.
"""

import math
from collections import Counter
from datetime import UTC, datetime

from cachetools import TTLCache

from shared.clock import now
from shared.documents import Index
from shared.ids import new_id
from shared.problems import TooManyRequests
from shared.store.driver import Bson, Client, UpdateOne
from shared.store.grouping import Grouped
from shared.store.store import create_index

WINDOW = 60
"""Seconds."""
BATCHES = 20
"""Batches of one window that can be told apart while they are under way."""


class Rates:
    """Counts for one process; `most` requests in a window, 0 for no limit at all."""

    def __init__(self, client: Client, prefix: str, most: int, timeout: float) -> None:
        self.most = most
        self._counts = client[f"{prefix}_rates"]["counts"]
        self._count: Grouped[str, int] = Grouped(self._count_many, timeout)
        self._over: TTLCache[str, bool] = TTLCache(maxsize=100_000, ttl=WINDOW)

    async def prepare(self) -> None:
        """Create the index that forgets old windows."""
        await create_index(self._counts, Index("over", [("until", 1)], expire_after=WINDOW))

    async def check(self, who: str, share: int = 1) -> None:
        """Count a request of `who`, who may make `share` times as many as others.

        `who` is kept for two minutes: it must not be an address or an id in clear. Raises
        TooManyRequests, Unavailable.
        """
        if not self.most:
            return
        at = now().timestamp()
        window = f"{who}|{int(at // WINDOW)}"
        if window in self._over or await self._count(window) > self.most * share:
            self._over[window] = True
            raise TooManyRequests(math.ceil(WINDOW - at % WINDOW))

    async def _count_many(self, windows: list[str]) -> list[int | Exception]:
        """The number that each of these requests has in its window."""
        times, batch = Counter(windows), new_id()
        until = datetime.fromtimestamp((now().timestamp() // WINDOW + 1) * WINDOW, UTC)
        writes = [
            UpdateOne({"_id": window}, _counted(batch, many, until), upsert=True)
            for window, many in times.items()
        ]
        await self._counts.bulk_write(writes, ordered=False)
        rows = await self._counts.find({"_id": {"$in": list(times)}}).to_list(None)
        next_of = {row["_id"]: _before(row, batch) for row in rows}
        numbers: list[int | Exception] = []
        for window in windows:
            next_of[window] += 1
            numbers.append(next_of[window])
        return numbers


def _counted(batch: str, many: int, until: datetime) -> list[Bson]:
    """Count so many requests, and remember from where on."""
    before = {"$ifNull": ["$count", 0]}
    batches = {"$concatArrays": [{"$ifNull": ["$batches", []]}, [{"id": batch, "before": before}]]}
    row = {
        "count": {"$add": [before, many]},
        "batches": {"$slice": [batches, -BATCHES]},
        "until": until,
    }
    return [{"$set": row}]


def _before(row: Bson, batch: str) -> int:
    """How many were counted before this batch; all there are, if many batches came since."""
    before: int = next((b["before"] for b in row["batches"] if b["id"] == batch), row["count"])
    return before
