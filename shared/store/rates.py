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

from shared.model.clock import now
from shared.model.documents import Index
from shared.model.ids import new_id
from shared.model.problems import TooManyRequests
from shared.mongo.driver import Bson, BulkWriteError, Client, UpdateOne, quick
from shared.mongo.grouping import Grouped
from shared.mongo.indexes import create_indexes

MINUTE, HOUR, DAY = 60, 3600, 86_400
"""Seconds of the usual windows; a day is one of Asia/Shanghai."""
SHANGHAI = 8 * HOUR
EVER = 10**9
"""A window that does not end while its count is kept: for what may happen once."""
KEPT = DAY
"""Seconds after which a count is forgotten, however long its window."""
DUPLICATE = 11000
BATCHES = 20
"""Batches of one window that can be told apart while they are under way."""
REMEMBERED = MINUTE
"""Seconds for which a process remembers who is over a limit."""


class Limit(NamedTuple):
    """At most `most` times in each window of so many seconds. `own`: of the tally's part alone."""

    most: int
    seconds: int
    own: bool = False


class Tally(NamedTuple):
    """What is counted. `who` is kept until its windows are over: no address, phone or id in clear. Whoever
    counts one `who` gives it the same limits each time.

    `brake`: the name of a limit beyond which nobody is refused; whoever asked decides what it then takes.
    """

    who: str
    limits: tuple[Limit, ...]
    brake: str = ""
    part: str = ""
    """Who of several that are counted under `who` together: limits that are `own` are for each of them."""
    seldom: bool = False
    """Most of its kind come once in their windows: then counting takes one short write, and no read."""


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

    @property
    def field_of_row(self) -> tuple[str, str]:
        """Where it is counted."""
        return _row_of(self.tally, self.at), _field(self.tally, self.limit, self.at)


def window_of(at: float, seconds: int) -> int:
    """Which window of so many seconds an instant lies in."""
    return int((at + SHANGHAI) // seconds)


class Rates:
    """Counts for one process. `await prepare()` first."""

    def __init__(self, client: Client, prefix: str, timeout: float) -> None:
        self._counts = quick(client[f"{prefix}_rates"]["counts"])
        self._count: Grouped[Tally, list[Counted]] = Grouped(self._count_many, timeout)
        self._over: TTLCache[tuple[str, str], bool] = TTLCache(maxsize=100_000, ttl=REMEMBERED)

    async def prepare(self) -> None:
        """Create the index that forgets old windows."""
        await create_indexes(self._counts, [Index("over", [("until", 1)], expire_after=MINUTE)])

    async def check(self, *tallies: Tally) -> list[Counted]:
        """Count a request under each of these, the narrowest first. Returns each limit with its number.

        A request that is refused is counted only under the first limit that refuses it: else whoever is
        over a limit of their own could use up one that they share with others. Raises TooManyRequests,
        Unavailable.
        """
        at = now().timestamp()
        if self._over:
            for tally in tallies:
                if not tally.brake:
                    self._refuse_remembered(tally, at)
        if len(tallies) == 1:
            counted = await self._count(tallies[0])
        else:
            answers = await asyncio.gather(*map(self._count, tallies))  # all in one group
            counted = [one for answer in answers for one in answer]
        refusing = next((one for one in counted if one.over and not one.tally.brake), None)
        if refusing is not None:
            self._over[refusing.field_of_row] = True
            await self.take_back([one for one in counted if one is not refusing])
            raise _too_many(refusing, at)
        return counted

    def _refuse_remembered(self, tally: Tally, at: float) -> None:
        for limit in tally.limits:
            known = Counted(tally, limit, at, window_of(at, limit.seconds), limit.most + 1)
            if known.field_of_row in self._over:
                raise _too_many(known, at)

    async def take_back(self, counted: Sequence[Counted]) -> None:
        """Count these no more: nothing was done after all."""
        rows: defaultdict[tuple[Tally, float], set[str]] = defaultdict(set)
        for one in counted:
            rows[one.tally, one.at].add(one.field_of_row[1])
        writes = [
            UpdateOne(
                {"_id": _row_of(tally, at)},
                {"$inc": dict.fromkeys(fields, -1), **_pushed(_batch(tally, new_id(), at, -1))},
            )
            for (tally, at), fields in rows.items()
        ]
        if writes:
            await self._counts.bulk_write(writes, ordered=False)

    async def _count_many(self, tallies: list[Tally]) -> list[list[Counted] | Exception]:
        at, batch, times = now().timestamp(), new_id(), Counter(tallies)
        came = await self._insert({tally: many for tally, many in times.items() if tally.seldom}, at, batch)
        known = [tally for tally in times if tally not in came]
        found = await self._update(known, times, at, batch) if known else {}
        seen = Counter[Tally]()
        answers: list[list[Counted] | Exception] = []
        for tally in tallies:
            seen[tally] += 1
            row = found.get(_row_of(tally, at)) if tally not in came else None
            answers.append([_counted(row, tally, one, at, batch, seen[tally]) for one in tally.limits])
        return answers

    async def _insert(self, times: dict[Tally, int], at: float, batch: str) -> set[Tally]:
        """Begin the rows that are not there. Returns whose were begun."""
        if not times:
            return set()
        rows = [_begun(tally, at, many, batch) for tally, many in times.items()]
        there = set[int]()
        try:
            await self._counts.insert_many(rows, ordered=False)
        except BulkWriteError as error:
            failed = error.details["writeErrors"]
            if any(one["code"] != DUPLICATE for one in failed):
                raise
            there = {one["index"] for one in failed}
        return {tally for index, tally in enumerate(times) if index not in there}

    async def _update(
        self, tallies: list[Tally], times: Counter[Tally], at: float, batch: str
    ) -> dict[str, Bson]:
        """Count in rows that may be there already. Returns them as they are then, by id."""
        writes = [
            UpdateOne({"_id": _row_of(one, at)}, _counting(one, at, times[one], batch), upsert=True)
            for one in tallies
        ]
        await self._counts.bulk_write(writes, ordered=False)
        ids = list({_row_of(one, at) for one in tallies})
        return {row["_id"]: row for row in await self._counts.find({"_id": {"$in": ids}}).to_list(None)}


def _too_many(refusing: Counted, at: float) -> TooManyRequests:
    ends = (refusing.window + 1) * refusing.limit.seconds - SHANGHAI
    return TooManyRequests(max(1, math.ceil(ends - at)))


def _longest(tally: Tally) -> int:
    return max(limit.seconds for limit in tally.limits)


def _row_of(tally: Tally, at: float) -> str:
    """The row of a tally: one for each of its longest windows, with the counts of the shorter ones in it."""
    return f"{tally.who}|{window_of(at, _longest(tally))}"


def _field(tally: Tally, limit: Limit, at: float) -> str:
    return f"{tally.part if limit.own else ''}_{limit.seconds}_{window_of(at, limit.seconds)}"


def _until(tally: Tally, at: float) -> datetime:
    """When the last of its windows is over."""
    ends = (window_of(at, _longest(tally)) + 1) * _longest(tally) - SHANGHAI
    return datetime.fromtimestamp(min(ends, at + KEPT), UTC)


def _begun(tally: Tally, at: float, many: int, batch: str) -> Bson:
    """The first row of a tally."""
    row: Bson = {_field(tally, limit, at): many for limit in tally.limits}
    return row | {
        "_id": _row_of(tally, at),
        "until": _until(tally, at),
        "batches": [_batch(tally, batch, at, many)],
    }


def _counting(tally: Tally, at: float, many: int, batch: str) -> Bson:
    """Count so many requests in each window, and remember in which order groups of them came."""
    return {
        "$inc": {_field(tally, limit, at): many for limit in tally.limits},
        "$max": {"until": _until(tally, at)},
        **_pushed(_batch(tally, batch, at, many)),
    }


def _batch(tally: Tally, batch: str, at: float, many: int) -> Bson:
    return {"id": batch, "part": tally.part, "at": at, "many": many}


def _pushed(batch: Bson) -> Bson:
    return {"$push": {"batches": {"$each": [batch], "$slice": -BATCHES}}}


def _counted(row: Bson | None, tally: Tally, limit: Limit, at: float, batch: str, nth: int) -> Counted:
    """The nth of its batch; after all there are, if many came since. `row`: None where it was just begun."""
    window = window_of(at, limit.seconds)
    if row is None:
        return Counted(tally, limit, at, window, nth)
    before: int = row[_field(tally, limit, at)]
    own = [(one["id"], one["part"]) for one in row["batches"]]
    if (batch, tally.part) in own:
        for one in row["batches"][own.index((batch, tally.part)) :]:
            if window_of(one["at"], limit.seconds) == window and (not limit.own or one["part"] == tally.part):
                before -= one["many"]
    return Counted(tally, limit, at, window, before + nth)
