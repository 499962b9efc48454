"""From documents to write operations, and from write errors back to the caller they belong to."""

from collections.abc import Sequence
from typing import Any

import structlog

from shared.model.clock import now
from shared.model.documents import Document
from shared.model.events import Event
from shared.model.personal import personal_fields, plaintext
from shared.model.problems import (
    AlreadyExists,
    EventTooLarge,
    Full,
    NotStored,
    Problem,
    Unavailable,
    VersionConflict,
)
from shared.mongo.driver import (
    MAX_DOCUMENT,
    MAX_MESSAGE,
    UNSENDABLE,
    Binary,
    Bson,
    InsertOne,
    UpdateOne,
    WriteOp,
    away,
    encode,
)
from shared.privacy.vault import Vault
from shared.store.answers import FIELD, MOVED, Kept
from shared.telemetry import Origin, current_origin

MAX_PENDING = 500
"""Events one document may have waiting: far below MongoDB's 16 MB, and a relay is never that late."""
MAX_PENDING_SIZE = 2_000_000
"""Characters (of at most 4 bytes) in their data."""
FEW = 4
"""Events that are within both bounds whatever they say."""
MAX_EVENT = 256 * 1024
"""Bytes of an event's data: Kafka takes 1 MiB with all that is around it, and what it refused would stand
before all later events for ever."""
_DUPLICATE_KEY = 11000
_TOO_LARGE = {10334, 17419, 17420}
"""MongoDB's codes for a document above MAX_DOCUMENT, before and after an update."""
log = structlog.get_logger()


def _entry(document: Document, version: int, index: int, event: Event, origin: Origin) -> Bson:
    """An event as the outbox, the archive and the log keep it. Raises EventTooLarge."""
    data = event.model_dump_json(exclude_none=True)
    if len(data) > MAX_EVENT // 4 and (size := len(data.encode())) > MAX_EVENT:
        raise EventTooLarge(event=event.type, bytes=size, limit=MAX_EVENT)
    return {
        "id": f"{document.id}.{version}.{index}",
        "type": event.type,
        "subject": document.id,
        "sequence": version,
        "time": now(),
        "data": data,
        "division": event.division,
        "traceparent": origin[0],
        "cause": origin[1],
    }


def _check_pending(outbox: Sequence[Bson]) -> None:
    """Raises Unavailable when more events wait for the relay than a document can carry."""
    if len(outbox) > MAX_PENDING or sum(len(entry["data"]) for entry in outbox) > MAX_PENDING_SIZE:
        raise Unavailable("事件积压 / Too many events of this document wait for the relay")


async def _sealed(document: Document, vault: Vault) -> Bson:
    """The box of the personal fields: new, or opened (and so perhaps changed)."""
    values = [getattr(document, name) for name in personal_fields(type(document))]
    person = document.person_id
    if person is None or all(value is None for value in values):
        return {}
    if "sealed" in document._stored and not document._opened and None in values:
        raise RuntimeError(f"{document.collection}: unseal it before changing one of its personal fields")
    box = await vault.seal(person, plaintext(document), f"{document.collection}/{document.id}")
    return {"sealed": Binary(box)}


class Write:
    """One document's next version: the operation that stores it, and what to do once it is stored."""

    def __init__(self, document: Document, fields: Bson, outbox: list[Bson], kept: Kept | None) -> None:
        self.document = document
        self._fields = fields
        self._outbox = outbox
        self._kept = kept

    @classmethod
    async def of(
        cls,
        document: Document,
        vault: Vault,
        kept: Kept | None,
        origins: Sequence[Origin] | None = None,
    ) -> "Write":
        """Prepare to store `document`, and an answer with its request's key. `origins`: what each event it
        recorded comes from; None: all from what this task works for. Raises Full, EventTooLarge,
        Unavailable."""
        document.check_bounds()
        version = document.version + 1
        events = [await vault.seal_event(event) for event in document.recorded]
        origins = origins or [current_origin()] * len(events)
        outbox = [
            _entry(document, version, index, event, origin)
            for index, (event, origin) in enumerate(zip(events, origins, strict=True))
        ]
        if (waiting := document._stored.get("outbox")) or len(outbox) > FEW:
            _check_pending([*(waiting or ()), *outbox])
        fields = document.clear_fields() | await _sealed(document, vault) | {"version": version}
        return cls(document, fields, outbox, kept)

    @property
    def is_insert(self) -> bool:
        return self.document.version == 0

    def operation(self) -> WriteOp:
        """Insert a new document; update a known one only at the version it was loaded with.

        `upsert` turns a version conflict into a duplicate `_id` with its own place in the batch, and
        so into its own caller's answer: an update that matches nothing would not be told apart.
        """
        if self.is_insert:
            return InsertOne(self._content())
        same = {"_id": self.document.id, "version": self.document.version}
        return UpdateOne(same, self._content(), upsert=True)

    def _content(self) -> Bson:
        """The document, or the update, as it is sent."""
        if self.is_insert:
            stored = {"_id": self.document.id, **self._fields, "outbox": self._outbox}
            return stored | ({FIELD: [self._kept.answer]} if self._kept else {})
        known = self.document._stored
        changed = {
            name: value for name, value in self._fields.items() if name not in known or known[name] != value
        }
        pushes = {"outbox": self._outbox}
        if self._kept and self._kept.beside is not None:
            changed |= {FIELD: [*self._kept.beside, self._kept.answer], MOVED: now()}
        elif self._kept:
            pushes[FIELD] = [self._kept.answer]
        update: Bson = {"$set": changed}
        if push := {name: {"$each": values} for name, values in pushes.items() if values}:
            update["$push"] = push
        return update

    def size(self) -> int:
        """Bytes that are sent; -1 for what cannot be encoded at all."""
        try:
            return len(encode(self._content()))
        except UNSENDABLE:
            return -1

    def once(self) -> WriteOp:
        """Insert a new document, unless there is one with its id."""
        stored = {**self._fields, "outbox": self._outbox}
        return UpdateOne({"_id": self.document.id}, {"$setOnInsert": stored}, upsert=True)

    def done(self) -> None:
        """The write was acknowledged: the document is at its new version, its events are committed."""
        document = self.document
        document.version = self._fields["version"]
        document._events.clear()
        document._opened = document._opened or "sealed" in self._fields
        waiting = document._stored.get("outbox", []) + self._outbox
        document._stored = document._stored | self._fields | {"outbox": waiting} | self._answers_now()

    def _answers_now(self) -> Bson:
        if self._kept is None:
            return {}
        if self._kept.beside is None:
            return {FIELD: [*self.document._stored.get(FIELD, ()), self._kept.answer]}
        return {FIELD: [*self._kept.beside, self._kept.answer], MOVED: now()}

    def problem(self, error: dict[str, Any]) -> Exception:
        """What a write error of the batch means for this document's caller."""
        code = error.get("code")
        if code == _DUPLICATE_KEY:
            return duplicate(type(self.document), error, is_insert=self.is_insert)
        log.error("write refused", collection=self.document.collection, code=code)
        if code in _TOO_LARGE or "too large" in error.get("errmsg", ""):  # of an insert it is any bad value
            return Full(what="document", most=MAX_DOCUMENT)
        return NotStored(code=code)


def unsendable(writes: Sequence[Write]) -> dict[int, Exception]:
    """Of a group that the driver would not send: whose fault it was, by their place, and what they are told.

    Raises Unavailable for a group so large that a part of it may have gone out.
    """
    sizes = [write.size() for write in writes]
    fault = {index: size for index, size in enumerate(sizes) if not 0 <= size <= MAX_DOCUMENT}
    if sum(sizes) - sum(fault.values()) > MAX_MESSAGE:
        raise away()
    return {i: writes[i].problem({"code": 10334 if size > 0 else "encoding"}) for i, size in fault.items()}


def duplicate(model: type[Document], error: dict[str, Any], *, is_insert: bool) -> Problem:
    """A duplicate key: the version moved on, or a unique fact is taken."""
    pattern = error.get("keyPattern", {})
    if list(pattern) == ["_id"] and not is_insert:
        return VersionConflict()
    key = dict(error.get("keyValue", {}))
    for index in model.indexes:
        if [name for name, _ in index.keys] == list(pattern):
            found_by = {"$and": [key, index.where or {}]} if index.tells else None
            return AlreadyExists(index.name, key, found_by)
    return AlreadyExists(",".join(pattern), key)
