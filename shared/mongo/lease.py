"""A lease in MongoDB: at most one replica does a job. Judged by the server's clock, so skew is harmless."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from shared.mongo.driver import Collection, DuplicateKeyError, PyMongoError, ReturnDocument

RELEASE_SECONDS = 2.0
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Lease:
    """`name` in `collection` for `seconds`; `holder` identifies this process."""

    def __init__(self, collection: Collection, name: str, holder: str, seconds: float) -> None:
        self._collection = collection
        self._name = name
        self._holder = holder
        self.seconds = seconds
        self._until = 0.0
        self._rests_until = 0.0

    @property
    def held(self) -> bool:
        """Whether we hold it for sure: counted from before the renewal was asked for."""
        return time.monotonic() < self._until

    @property
    def resting(self) -> bool:
        """Whether we let others have it, because we cannot do the job."""
        return time.monotonic() < self._rests_until

    @property
    def due(self) -> bool:
        """Whether a third of the lease has passed, so that it should be renewed."""
        return time.monotonic() > self._until - self.seconds * 2 / 3

    async def acquire(self) -> bool:
        """Take or renew the lease; False while somebody else holds it, and while we rest."""
        if self.resting:
            return False
        asked = time.monotonic()
        free = {
            "$or": [{"$eq": ["$holder", self._holder]}, {"$lt": [{"$ifNull": ["$ends", _LONG_AGO]}, "$$NOW"]}]
        }
        ours = {"holder": self._holder, "ends": {"$add": ["$$NOW", int(self.seconds * 1000)]}}
        taken = {name: {"$cond": [free, value, f"${name}"]} for name, value in ours.items()}
        try:
            row = await self._collection.find_one_and_update(
                {"_id": self._name}, [{"$set": taken}], upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:  # two made the row at the same time
            row = None
        if row is None or row["holder"] != self._holder:
            self._until = 0.0
            return False
        self._until = asked + self.seconds
        return True

    @staticmethod
    async def renew(leases: Sequence["Lease"]) -> None:
        """Renew leases of one holder, of one length, in one collection, by one write. If one of them is gone,
        each must ask for its own: nothing is renewed for sure."""
        first, asked = leases[0], time.monotonic()
        ends = {"$add": ["$$NOW", int(first.seconds * 1000)]}
        names = [lease._name for lease in leases]
        ours = {"_id": {"$in": names}, "holder": first._holder}
        renewed = await first._collection.update_many(ours, [{"$set": {"ends": ends}}])
        if renewed.matched_count == len(leases):
            for lease in leases:
                lease._until = asked + lease.seconds

    async def rest(self, seconds: float) -> None:
        """Let another replica have it: we cannot do the job, and do not ask for it again for so long."""
        self._rests_until = time.monotonic() + seconds
        await self.release()

    async def release(self) -> None:
        """Let the next one have it at once; if that cannot be told in time, it runs out by itself."""
        self._until = 0.0
        with suppress(PyMongoError, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._collection.delete_one({"_id": self._name, "holder": self._holder})
