"""What signing and verifying look up, kept cheap: cached for a moment, or read for many at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from cachetools import TTLCache

from shared.model.clock import now
from shared.store.store import Store

from .domain.campaign import Campaign
from .domain.fraud import HoldReason, ListEntry, ListKind
from .domain.invalidation import IN_FORCE, Condition, Invalidation
from .domain.pledge import Pledge

STRIPES = 4096
"""Locks that all keys share: two keys with one lock wait for each other now and then, to no harm."""
CACHED_SECONDS = 1.0
"""How long another replica's change may stay unseen here."""
MOST_LISTED = 20_000
MOST_IN_FORCE = 1000
_LISTS, _IN_FORCE = "lists", "in-force"
T = TypeVar("T")


class Lookups:
    """The look-ups of one process; `Lookups.of(store)`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: TTLCache[str, asyncio.Task[Any]] = TTLCache(maxsize=1000, ttl=CACHED_SECONDS)
        self._locks = [asyncio.Lock() for _ in range(STRIPES)]
        self._phones = [asyncio.Lock() for _ in range(STRIPES)]

    @classmethod
    def of(cls, store: Store) -> "Lookups":
        """Those of the process that has this store."""
        return store.resource(cls)

    async def campaign(self, campaign_id: str) -> Campaign:
        """A campaign as it was at most a second ago; not to be changed. Raises NotFound."""
        return await self._cached(campaign_id, lambda: self._store.load(Campaign, campaign_id))

    async def campaign_showing(self, campaign_id: str, text_version: int) -> Campaign:
        """A campaign, read afresh where another replica may have put the text that a form shows in force."""
        found = await self.campaign(campaign_id)
        if found.text_version != text_version:
            self.forget_campaign(campaign_id)
            found = await self.campaign(campaign_id)
        return found

    async def check_open(self, campaign_id: str) -> None:
        """Raises OutsideWindow, NotFound."""
        (await self.campaign(campaign_id)).check_open(now())

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

    async def suspicions(self, pledge: Pledge) -> list[HoldReason]:
        """Why a pledge must be looked at before it counts, as of at most a second ago, whatever was known
        when its form came."""
        conditions = await self._cached(_IN_FORCE, self._conditions)
        found = []
        if await self.listed(pledge.phone_key) is ListKind.BLOCK:
            found.append(HoldReason.BLOCKED)
        if any(condition.covers(pledge) for condition in conditions):
            found.append(HoldReason.INVALIDATION)
        return found

    async def _conditions(self) -> list[Condition]:
        in_force = {"state": {"$in": list(IN_FORCE)}}
        found = await self._store.select(Invalidation, in_force, sort=[("_id", -1)], limit=MOST_IN_FORCE)
        return [invalidation.condition for invalidation in found]

    def forget_suspicions(self) -> None:
        """A list, or what is in force, was changed here: read it again."""
        self._cache.pop(_LISTS, None)
        self._cache.pop(_IN_FORCE, None)

    async def _cached(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` answered within the last second; requests that come together ask once."""
        reading: asyncio.Task[T] | None = self._cache.get(key)
        if reading is None or (reading.done() and (reading.cancelled() or reading.exception())):
            reading = self._cache[key] = asyncio.ensure_future(read())
        return await asyncio.shield(reading)

    def alone(self, key: str) -> asyncio.Lock:
        """A lock for a key: requests at the same instant take turns, instead of running into each other.

        It holds within this process and only saves work; what must hold everywhere is in the documents.
        """
        return self._locks[hash(key) % STRIPES]

    def alone_with(self, phone_key: str) -> asyncio.Lock:
        """The same for a phone; of other locks, so that it may be taken while one of those is held."""
        return self._phones[hash(phone_key) % STRIPES]
