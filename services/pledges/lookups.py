"""What signing and verifying look up, kept cheap: cached for a moment, or read for many at once."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, proxy

from cachetools import TTLCache

from shared.clock import now
from shared.store.grouping import Grouped
from shared.store.store import Store

from .domain.campaign import Campaign
from .domain.fraud import SUSTAINED, ListEntry, ListKind
from .domain.pledge import Pledge

STRIPES = 4096
"""Locks that all keys share: two keys with one lock wait for each other now and then, to no harm."""
CACHED_SECONDS = 1.0
"""How long another replica's change may stay unseen here."""
MOST_LISTED = 20_000
_LISTS = "lists"
T = TypeVar("T")


class Lookups:
    """The look-ups of one process; `Lookups.of(store)`."""

    def __init__(self, store: Store) -> None:
        self._store: Store = proxy(store)
        self._cache: TTLCache[str, asyncio.Task[Any]] = TTLCache(maxsize=1000, ttl=CACHED_SECONDS)
        self._forms: Grouped[str, list[datetime]] = Grouped(self._forms_of, store.timeout)
        self._locks = [asyncio.Lock() for _ in range(STRIPES)]

    @classmethod
    def of(cls, store: Store) -> "Lookups":
        """Those that belong to a store."""
        found = _known.get(store)
        if found is None:
            found = _known[store] = cls(store)
        return found

    async def campaign(self, campaign_id: str) -> Campaign:
        """A campaign as it was at most a second ago; not to be changed. Raises NotFound."""
        return await self._cached(campaign_id, lambda: self._store.load(Campaign, campaign_id))

    def forget_campaign(self, campaign_id: str) -> None:
        """It was changed here: read it again."""
        self._cache.pop(campaign_id, None)

    async def listed(self, phone_key: str) -> ListKind | None:
        """The list a phone is on, as of at most a second ago."""
        lists = await self._cached(_LISTS, self._lists)
        return lists.get(phone_key)

    async def _lists(self) -> dict[str, ListKind]:
        entries = await self._store.select(ListEntry, {"revoked_at": None}, limit=MOST_LISTED)
        return {entry.phone_key: entry.kind for entry in entries}

    def forget_lists(self) -> None:
        """They were changed here: read them again."""
        self._cache.pop(_LISTS, None)

    async def earlier_forms(self, phone_key: str) -> list[datetime]:
        """When the forms of a phone came in, as far back as the limits look."""
        return await self._forms(phone_key)

    async def _forms_of(self, phone_keys: list[str]) -> list[list[datetime] | Exception]:
        where = {"phone_key": {"$in": phone_keys}, "created_at": {"$gt": now() - SUSTAINED.within}}
        fields = {"_id": 0, "phone_key": 1, "created_at": 1}  # the index "phones" alone answers this
        times: defaultdict[str, list[datetime]] = defaultdict(list)
        for row in await self._store.aggregate(Pledge, [{"$match": where}, {"$project": fields}]):
            times[row["phone_key"]].append(row["created_at"])
        return [times[key] for key in phone_keys]

    async def _cached(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` answered within the last second; requests that come together ask once."""
        reading: asyncio.Task[T] | None = self._cache.get(key)
        if reading is None or (reading.done() and (reading.cancelled() or reading.exception())):
            reading = self._cache[key] = asyncio.ensure_future(read())
        return await asyncio.shield(reading)

    def alone(self, key: str) -> asyncio.Lock:
        """A lock for a key: requests at the same instant must not each see a limit unreached.

        It holds within this process: with n replicas a burst may reach n times the limit.
        """
        return self._locks[hash(key) % STRIPES]


_known: WeakKeyDictionary[Store, Lookups] = WeakKeyDictionary()
