"""From documents to write operations, and from write errors back to the caller they belong to."""

from collections.abc import Sequence
from typing import Any

from shared import idempotency
from shared.clock import now
from shared.documents import Document
from shared.events import Event
from shared.personal import personal_fields, plaintext
from shared.problems import AlreadyExists, Problem, Unavailable, VersionConflict
from shared.store.driver import Binary, Bson, InsertOne, UpdateOne, WriteOp
from shared.telemetry import Origin, current_origin
from shared.vault import Vault

MAX_PENDING = 500
"""Events one document may have waiting: far below MongoDB's 16 MB, and a relay is never that late."""
_DUPLICATE_KEY = 11000


def _entry(document: Document, version: int, index: int, event: Event, origin: Origin) -> Bson:
    """An event as the outbox, the archive and the log keep it."""
    return {
        "id": f"{document.id}.{version}.{index}",
        "type": event.type,
        "subject": document.id,
        "sequence": version,
        "time": now(),
        "data": event.model_dump_json(exclude_none=True),
        "division": event.division,
        "traceparent": origin[0],
        "cause": origin[1],
    }


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

    def __init__(self, document: Document, fields: Bson, outbox: list[Bson], answers: list[Bson]) -> None:
        self.document = document
        self._fields = fields
        self._outbox = outbox
        self._answers = answers

    @classmethod
    async def of(
        cls,
        document: Document,
        vault: Vault,
        answer: Bson | None,
        origins: Sequence[Origin] | None = None,
    ) -> "Write":
        """Prepare to store `document`, and an answer with its request's key. `origins`: what each event it
        recorded comes from; None: all from what this task works for. Raises AlreadyExists when the key was
        used on it before."""
        version = document.version + 1
        if len(document._stored.get("outbox", ())) + len(document.recorded) > MAX_PENDING:
            raise Unavailable("事件积压 / Too many events of this document wait for the relay")
        answers = []
        if answer is not None:
            if any(a["key"] == answer["key"] for a in document._stored.get(idempotency.FIELD, ())):
                raise AlreadyExists("answers", {"key": answer["key"]})
            answers = [answer | {"at": now()}]
        events = [await vault.seal_event(event) for event in document.recorded]
        origins = origins or [current_origin()] * len(events)
        outbox = [
            _entry(document, version, index, event, origin)
            for index, (event, origin) in enumerate(zip(events, origins, strict=True))
        ]
        fields = document.clear_fields() | await _sealed(document, vault) | {"version": version}
        return cls(document, fields, outbox, answers)

    @property
    def is_insert(self) -> bool:
        return self.document.version == 0

    def operation(self) -> WriteOp:
        """Insert a new document; update a known one only at the version it was loaded with.

        `upsert` turns a version conflict into a duplicate `_id` with its own place in the batch, and
        so into its own caller's answer: an update that matches nothing would not be told apart.
        """
        document = self.document
        if self.is_insert:
            stored = {"_id": document.id, **self._fields, "outbox": self._outbox}
            return InsertOne(stored | ({idempotency.FIELD: self._answers} if self._answers else {}))
        known = document._stored
        changed = {
            name: value for name, value in self._fields.items() if name not in known or known[name] != value
        }
        update: Bson = {"$set": changed}
        pushes = {"outbox": self._outbox, idempotency.FIELD: self._answers}
        if push := {name: {"$each": values} for name, values in pushes.items() if values}:
            update["$push"] = push
        return UpdateOne({"_id": document.id, "version": document.version}, update, upsert=True)

    def done(self) -> None:
        """The write was acknowledged: the document is at its new version, its events are committed."""
        document = self.document
        document.version = self._fields["version"]
        document._events.clear()
        document._opened = document._opened or "sealed" in self._fields
        waiting = document._stored.get("outbox", []) + self._outbox
        answers = document._stored.get(idempotency.FIELD, []) + self._answers
        document._stored = document._stored | self._fields | {"outbox": waiting, idempotency.FIELD: answers}

    def problem(self, error: dict[str, Any]) -> Exception:
        """What a write error of the batch means for this document's caller."""
        if error.get("code") != _DUPLICATE_KEY:
            return RuntimeError(f"write refused with code {error.get('code')}")
        return duplicate(type(self.document), error, is_insert=self.is_insert)


def duplicate(model: type[Document], error: dict[str, Any], *, is_insert: bool) -> Problem:
    """A duplicate key: the version moved on, or a unique fact is taken."""
    pattern = error.get("keyPattern", {})
    if list(pattern) == ["_id"] and not is_insert:
        return VersionConflict()
    named = (index.name for index in model.indexes if [key for key, _ in index.keys] == list(pattern))
    return AlreadyExists(next(named, ",".join(pattern)), dict(error.get("keyValue", {})))
