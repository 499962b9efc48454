"""A lease in MongoDB: at most one replica does a job. Judged by the server's clock, so skew is harmless."""

import time
from typing import Any

from shared.store.driver import Collection, DuplicateKeyError, ReturnDocument


class Lease:
    """`name` in `collection` for `seconds`; `holder` identifies this process."""

    def __init__(self, collection: Collection, name: str, holder: str, seconds: float) -> None:
        self._collection = collection
        self._name = name
        self._holder = holder
        self.seconds = seconds
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether we hold it for sure: counted from before the renewal was asked for."""
        return time.monotonic() < self._until

    @property
    def due(self) -> bool:
        """Whether a third of the lease has passed, so that it should be renewed."""
        return time.monotonic() > self._until - self.seconds * 2 / 3

    async def acquire(self) -> bool:
        """Take or renew the lease; False while somebody else holds it."""
        asked = time.monotonic()
        ends = {"$add": ["$$NOW", int(self.seconds * 1000)]}
        where: dict[str, Any] = {
            "_id": self._name,
            "$or": [{"holder": self._holder}, {"$expr": {"$lt": ["$ends", "$$NOW"]}}],
        }
        try:
            await self._collection.find_one_and_update(
                where,
                [{"$set": {"holder": self._holder, "ends": ends}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:  # the upsert found the row held by another
            self._until = 0.0
            return False
        self._until = asked + self.seconds
        return True

    async def release(self) -> None:
        """Let the next one have it at once."""
        self._until = 0.0
        await self._collection.delete_one({"_id": self._name, "holder": self._holder})
