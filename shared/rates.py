"""How often somebody may do something, counted together by all replicas.

Requests that come together are counted in one write and one read, so that counting costs a request next to
nothing; a round trip for each, as libraries do it, would cost it a third. Whoever is over a limit is
remembered here for a minute: a flood reaches the database no more.

Counts live in a database of their own, known by keyed hashes, and are forgotten when their windows are
over: nothing that the counted may do, an erasure included, takes one back.
"""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cachetools import TTLCache

from shared.clock import now
from shared.documents import Index
from shared.ids import new_id
from shared.problems import TooManyRequests
from shared.store.driver import Bson, Client, UpdateOne, quick
from shared.store.grouping import Grouped
from shared.store.store import create_index

MINUTE, HOUR, DAY = 60, 3600, 86_400
"""Seconds of the usual windows; a day is one of Asia/Shanghai."""
SHANGHAI = 8 * HOUR
EVER = 10**9
"""A window that does not end while its count is kept: for what may happen once."""
KEPT = DAY
"""Seconds after which a count is forgotten, however long its window."""
BATCHES = 20
"""Batches of one window that can be told apart while they are under way."""
REMEMBERED = MINUTE
"""Seconds for which a process remembers who is over a limit."""


class Limit(NamedTuple):
    """At most `most` times in each window of so many seconds."""

    most: int
    seconds: int


class Tally(NamedTuple):
    """What is counted. `who` is kept until its windows are over: no address, phone or id in clear. Whoever
    counts one `who` gives it the same limits each time.

    `brake`: the name of a limit beyond which nobody is refused; whoever asked decides what it then takes.
    """

    who: str
    limits: tuple[Limit, ...]
    brake: str = ""


class Counted(NamedTuple):
    """One limit of a tally, and what was counted for it."""

    tally: Tally
    limit: Limit
    at: float
    window: int
    number: int
    """Which one it is within the window: 1, 2, 3, …"""

    @property
    def over(self) -> bool:
        """Whether that is more than may be."""
        return self.number > self.limit.most


def window_of(at: float, seconds: int) -> int:
    """Which window of so many seconds an instant lies in."""
    return int((at + SHANGHAI) // seconds)


class Rates:
    """Counts for one process. `await prepare()` first."""

    def __init__(self, client: Client, prefix: str, timeout: float) -> None:
        self._counts = quick(client[f"{prefix}_rates"]["counts"])
        self._count: Grouped[Tally, list[Counted]] = Grouped(self._count_many, timeout)
        self._over: TTLCache[tuple[str, int, int], bool] = TTLCache(maxsize=100_000, ttl=REMEMBERED)

    async def prepare(self) -> None:
        """Create the index that forgets old windows."""
        await create_index(self._counts, Index("over", [("until", 1)], expire_after=MINUTE))

    async def check(self, *tallies: Tally) -> list[Counted]:
        """Count a request under each of these, the narrowest first. Returns each limit with its number.

        A request that is refused is counted only under the first limit that refuses it: else whoever is
        over a limit of their own could use up one that they share with others. Raises TooManyRequests,
        Unavailable.
        """
        at = now().timestamp()
        for tally in tallies:
            if not tally.brake:
                self._refuse_remembered(tally, at)
        answers = await asyncio.gather(*map(self._count, tallies))  # all in one group
        counted = [one for answer in answers for one in answer]
        refusing = next((one for one in counted if one.over and not one.tally.brake), None)
        if refusing is not None:
            self._over[refusing.tally.who, refusing.limit.seconds, refusing.window] = True
            await self.take_back([one for one in counted if one is not refusing])
            raise _too_many(refusing, at)
        return counted

    def _refuse_remembered(self, tally: Tally, at: float) -> None:
        for limit in tally.limits:
            window = window_of(at, limit.seconds)
            if (tally.who, limit.seconds, window) in self._over:
                raise _too_many(Counted(tally, limit, at, window, limit.most + 1), at)

    async def take_back(self, counted: Sequence[Counted]) -> None:
        """Count these no more: nothing was done after all."""
        rows: defaultdict[tuple[str, float], set[str]] = defaultdict(set)
        for one in counted:
            rows[_row_of(one.tally, one.at), one.at].add(_field(one.limit.seconds, one.window))
        writes = [
            UpdateOne({"_id": row}, {"$inc": dict.fromkeys(fields, -1)} | _batch(new_id(), at, -1))
            for (row, at), fields in rows.items()
        ]
        if writes:
            await self._counts.bulk_write(writes, ordered=False)

    async def _count_many(self, tallies: list[Tally]) -> list[list[Counted] | Exception]:
        at, batch, times = now().timestamp(), new_id(), Counter(tallies)
        rows = {tally: _row_of(tally, at) for tally in times}
        writes = [
            UpdateOne({"_id": rows[tally]}, _counting(tally, at, many, batch), upsert=True)
            for tally, many in times.items()
        ]
        await self._counts.bulk_write(writes, ordered=False)
        found = {
            row["_id"]: row
            for row in await self._counts.find({"_id": {"$in": list(rows.values())}}).to_list(None)
        }
        seen = Counter[Tally]()
        answers: list[list[Counted] | Exception] = []
        for tally in tallies:
            seen[tally] += 1
            row = found[rows[tally]]
            answers.append([_counted(row, tally, one, at, batch, seen[tally]) for one in tally.limits])
        return answers


def _too_many(refusing: Counted, at: float) -> TooManyRequests:
    ends = (refusing.window + 1) * refusing.limit.seconds - SHANGHAI
    return TooManyRequests(max(1, math.ceil(ends - at)))


def _longest(tally: Tally) -> int:
    return max(limit.seconds for limit in tally.limits)


def _row_of(tally: Tally, at: float) -> str:
    """The row of a tally: one for each of its longest windows, with the counts of the shorter ones in it."""
    return f"{tally.who}|{window_of(at, _longest(tally))}"


def _field(seconds: int, window: int) -> str:
    return f"{seconds}_{window}"


def _counting(tally: Tally, at: float, many: int, batch: str) -> Bson:
    """Count so many requests in each window, and remember in which order groups of them came."""
    ends = (window_of(at, _longest(tally)) + 1) * _longest(tally) - SHANGHAI
    until = datetime.fromtimestamp(min(ends, at + KEPT), UTC)
    return {
        "$inc": {_field(seconds, window_of(at, seconds)): many for _, seconds in tally.limits},
        "$max": {"until": until},
    } | _batch(batch, at, many)


def _batch(batch: str, at: float, many: int) -> Bson:
    """Remember what was counted, or taken back, after what."""
    return {"$push": {"batches": {"$each": [{"id": batch, "at": at, "many": many}], "$slice": -BATCHES}}}


def _counted(row: Bson, tally: Tally, limit: Limit, at: float, batch: str, nth: int) -> Counted:
    """The nth of its batch; after all there are, if many batches came since."""
    window = window_of(at, limit.seconds)
    before: int = row[_field(limit.seconds, window)]
    ids = [one["id"] for one in row["batches"]]
    if batch in ids:
        since = row["batches"][ids.index(batch) :]
        before -= sum(one["many"] for one in since if window_of(one["at"], limit.seconds) == window)
    return Counted(tally, limit, at, window, before + nth)
