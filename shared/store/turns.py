"""How often somebody may try something in a day, where every try matters: codes sent, guesses at a code.

A turn is taken before it is known what comes of it. Each is a document of its own with a number, so that two
at the same instant cannot take the same one, on any number of replicas; and none is given back by anything
that those who are counted can do, such as erasing a record. (`rates.py` counts requests, where a round trip
for each would cost too much.)
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from shared.city.days import day_bounds, local_day
from shared.model.clock import now
from shared.model.documents import Day, Document, Index
from shared.model.problems import TooManyRequests, VersionConflict
from shared.store.attempts import repeated
from shared.store.store import Store


class Turn(Document):
    """One try of one day (Asia/Shanghai)."""

    collection: ClassVar[str] = "turns"
    indexes: ClassVar[Sequence[Index]] = (
        Index("numbers", [("who", 1), ("day", 1), ("number", 1)], unique=True),
        Index("past", [("until", 1)], expire_after=0),
    )

    who: str
    """A keyed hash of who is counted, and for what."""
    day: Day
    number: int
    until: datetime


async def take(store: Store, who: str, most: int) -> int:
    """Take one of today's `most` turns; returns how many are left. Raises TooManyRequests."""
    at = now()
    day = local_day(at)
    until = day_bounds(day)[1]

    @repeated("numbers")
    async def once() -> int:
        taken = await store.count(Turn, {"who": who, "day": day.isoformat()}, limit=most)
        if taken >= most:
            raise TooManyRequests(max(1, math.ceil((until - at).total_seconds())))
        await store.commit(Turn(who=who, day=day, number=taken + 1, until=until))
        return most - taken - 1

    try:
        return await once()
    except VersionConflict:
        raise TooManyRequests(1) from None
