"""The answers that are kept with Idempotency-Keys: each in the document that its request changed.

A document that has many of them moves the older ones away, to a collection of the service, before it takes
the next: so a busy one stays small, and a key is known for a day wherever its answer lies. The answer to
what made the document stays in it, for only there the unique index finds it when somebody would make the
same once more; for any other the document itself says whether there is more to look at.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import orjson
from pydantic import BaseModel
from pydantic_core import to_json

from shared.model.clock import now
from shared.model.documents import Document, Index
from shared.model.problems import AlreadyExists, Problem
from shared.mongo.driver import Bson, Database, DuplicateKeyError, UpdateOne, guarded
from shared.store.request_keys import KEPT, RequestKey

D = TypeVar("D", bound=Document)
FIELD = "answers"
"""The array inside a document that keeps keys with their answers."""
MOVED = "answers_moved"
"""When answers of a document were last moved away."""
MOST = 32
MOST_BYTES = 128 * 1024
"""Answers in a document, and bytes of them. Each change of it reads them all."""
MAX_ANSWER = 64 * 1024
"""Bytes of an answer; of a larger one only that it was given is kept."""
_THERE = {f"{FIELD}.0": {"$exists": True}}
INDEXES = (
    Index("answers_age", [(f"{FIELD}.at", 1)], where=_THERE),
    Index("answers", [(f"{FIELD}.key", 1)], unique=True, where=_THERE),
)
AGE = Index("age", [("at", 1)], expire_after=int(KEPT.total_seconds()))
_ALONE = ""
"""In place of a collection: an answer that belongs to no single document."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer to be kept in a document, and what stays there beside it (None: all that there is)."""

    answer: Bson
    beside: list[Bson] | None = None


def _bytes(answers: Sequence[Bson]) -> int:
    return sum(len((answer["body"] or "").encode()) for answer in answers)


class Answers:
    """Of one service. Methods wait at most `timeout` seconds, then raise Unavailable."""

    def __init__(self, database: Database, timeout: float) -> None:
        self._database = database
        self.moved = database["moved_answers"]
        self._timeout = timeout

    # ── keeping ──────────────────────────────────────────────────────────────────────────────────

    async def keep(
        self, request: RequestKey, document: D, answer: Callable[[D], BaseModel | Problem]
    ) -> Kept:
        """The answer as it will be once the document is stored. Raises AlreadyExists: the key was used."""
        entry = _entry(request, document, answer)
        kept: Sequence[Bson] = document._stored.get(FIELD, ())
        if any(other["key"] == entry["key"] for other in kept):
            raise _used(entry["key"])
        moved: datetime | None = document._stored.get(MOVED)
        if moved is not None and moved > now() - KEPT:
            await self._check_moved(document.collection, entry["key"])
        if len(kept) < MOST and _bytes([*kept, entry]) <= MOST_BYTES:
            return Kept(entry)
        await self._move(document.collection, [other for other in kept if not other.get("made_it")])
        return Kept(entry, [other for other in kept if other.get("made_it")])

    async def _check_moved(self, collection: str, key: str) -> None:
        """No key can come in between: it would be in the next version of the document."""
        async with guarded(self._timeout):
            if await self.moved.find_one({"_id": _id(collection, key)}, {"_id": 1}):
                raise _used(key)

    async def _move(self, collection: str, answers: Sequence[Bson]) -> None:
        """Have them here first: whatever happens before the document lets go of them, they are not lost."""
        writes = [
            UpdateOne({"_id": _id(collection, answer["key"])}, {"$setOnInsert": answer}, upsert=True)
            for answer in answers
        ]
        async with guarded(self._timeout):
            if writes:
                await self.moved.bulk_write(writes, ordered=False)

    # ── of a request that no single document answers ─────────────────────────────────────────────

    async def check_new(self, request: RequestKey) -> None:
        """Raises AlreadyExists for a key under which `keep_alone` has something."""
        await self._check_moved(_ALONE, request.identity)

    async def keep_alone(self, request: RequestKey, answer: object) -> None:
        """Keep an answer by itself. Raises AlreadyExists."""
        entry = request.entry(_body(to_json(answer)), "") | {"at": now()}
        try:
            async with guarded(self._timeout):
                await self.moved.insert_one({"_id": _id(_ALONE, entry["key"])} | entry)
        except DuplicateKeyError:
            raise _used(entry["key"]) from None

    # ── finding, forgetting ──────────────────────────────────────────────────────────────────────

    async def find(self, models: Sequence[type[Document]], request: RequestKey) -> Bson | None:
        """What was kept with a request's key: for this request before another with the same key."""
        async with guarded(self._timeout):
            found = await asyncio.gather(
                self._find_moved(models, request.identity),
                *(self._find_in(model, request.identity) for model in models),
            )
        answers = [answer for some in found for answer in some]
        same = (answer for answer in answers if answer["fingerprint"] == request.fingerprint)
        return next(same, answers[0] if answers else None)

    async def _find_in(self, model: type[Document], key: str) -> list[Bson]:
        where = {f"{FIELD}.key": key, **_THERE}
        stored = await self._database[model.collection].find_one(where, {f"{FIELD}.$": 1})
        return stored[FIELD] if stored else []

    async def _find_moved(self, models: Sequence[type[Document]], key: str) -> list[Bson]:
        ids = [_id(collection, key) for collection in (_ALONE, *(model.collection for model in models))]
        return await self.moved.find({"_id": {"$in": ids}}).to_list(None)

    async def forget(self, models: Sequence[type[Document]], before: datetime) -> None:
        """Drop what is older from the documents; what was moved goes by itself."""
        old = {"at": {"$lt": before}}
        for model in models:
            where = {f"{FIELD}.at": old["at"], **_THERE}
            await self._database[model.collection].update_many(where, {"$pull": {FIELD: old}})


def _entry(request: RequestKey, document: D, answer: Callable[[D], BaseModel | Problem]) -> Bson:
    made_it = document.version == 0
    document.version += 1
    try:
        found = answer(document)
        request.check_answers(found)
        if isinstance(found, Problem):
            entry = request.entry(_body(orjson.dumps(found.body())), document.etag, found.status)
        else:
            entry = request.entry(_body(found.model_dump_json().encode()), document.etag)
    finally:
        document.version -= 1
    return entry | {"at": now()} | ({"made_it": True} if made_it else {})


def _body(answer: bytes) -> str | None:
    return answer.decode() if len(answer) <= MAX_ANSWER else None


def _id(collection: str, key: str) -> str:
    return f"{collection}/{key}"


def _used(key: str) -> AlreadyExists:
    return AlreadyExists(FIELD, {"key": key})
