"""What a handler writes through: effects are collected, folded over the batch, and flushed together.

The effects of an event join the batch only when its handler has returned; a handler that raises leaves
nothing behind.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from shared.consumers.tables import LANE, STAMP, next_stamps, stamps_of, table_of
from shared.model.documents import Document
from shared.mongo.driver import Bson, Session, UpdateOne, WriteOp
from shared.privacy.vault import Vault
from shared.store.store import Store
from shared.store.writes import Write
from shared.telemetry import Origin, current_origin

D = TypeVar("D", bound=Document)
Table = str
RowId = str


class Row:
    """The folded effects of a batch on one row of a table."""

    __slots__ = ("increments", "inserted", "kept")

    def __init__(self) -> None:
        self.increments: dict[str, int] = {}
        self.kept: Bson = {}
        self.inserted: Bson = {}

    def operation(self, row_id: RowId) -> WriteOp:
        """One upsert for everything that happened to the row."""
        update: Bson = {}
        if self.increments:
            update["$inc"] = self.increments
        if self.kept:
            update["$set"] = self.kept
        if inserted := {name: value for name, value in self.inserted.items() if name not in self.kept}:
            update["$setOnInsert"] = inserted
        return UpdateOne({"_id": row_id}, update, upsert=True)


class Transaction:
    """The unit of work of one batch of one consumer group, over the service's own database."""

    def __init__(
        self, store: Store, session: Session, generation: int, followed: Collection[Table] = ()
    ) -> None:
        self._store = store
        self._session = session
        self._followed = followed
        self._generation = generation
        self._rows: dict[tuple[Table, RowId], Row] = {}
        self._documents: dict[tuple[type[Document], str], tuple[Document, list[Origin]]] = {}
        """With what each event they recorded comes from."""
        self._loaded: dict[tuple[type[Document], str], Bson | None] = {}
        """What was read for the whole batch; None: there is no such document."""
        self._created: dict[type[Document], dict[str, WriteOp]] = {}
        self._scratch: list[Callable[[], None]] = []

    @property
    def vault(self) -> Vault:
        """Where persons are known by their keys."""
        return self._store.vault

    # ── what handlers use ────────────────────────────────────────────────────────────────────────

    def add(
        self, table: Table, row_id: RowId, facts: Mapping[str, Any] | None = None, **increments: int
    ) -> None:
        """Add to the counts of a row; `facts` are what the row says about itself (set when it is made)."""

        def effect() -> None:
            row = self._row(table, row_id)
            for name, amount in increments.items():
                row.increments[name] = row.increments.get(name, 0) + amount
            row.inserted.update(facts or {})

        self._scratch.append(effect)

    def tally(self, table: Table, group: Mapping[str, str], lane: int, **increments: int) -> None:
        """Add to the counts of a group in a followed table. `lane`: the event's partition.

        It is part of the row's id: replicas own different partitions, so they never write one row.
        """
        self.add(table, ":".join((*group.values(), str(lane))), {**group, LANE: lane}, **increments)

    def put(self, table: Table, row_id: RowId, **values: Any) -> None:
        """Set fields of a row, made when missing."""
        self._scratch.append(lambda: self._row(table, row_id).kept.update(values))

    async def load(self, model: type[D], document_id: str) -> D | None:
        """A document of the own service, with what earlier events of the batch did to it."""
        key = (model, document_id)
        if key in self._documents:
            return self._documents[key][0].clone()  # type: ignore[return-value]
        if key not in self._loaded:
            await self.preload({model: {document_id}})
        stored = self._loaded[key]
        return None if stored is None else model.of_stored(stored)

    def save(self, document: Document) -> None:
        """Commit a document, and the events it recorded, with the batch."""
        origin, key = current_origin(), (type(document), document.id)

        def effect() -> None:
            # What earlier events of the batch led to stands first, and stays theirs.
            _, earlier = self._documents.get(key, (document, []))
            recorded = len(document.recorded)
            self._documents[key] = document, [*earlier, *[origin] * recorded][:recorded]

        self._scratch.append(effect)

    async def create(self, document: Document) -> None:
        """Make a document, with the events it recorded, unless there is one with its id: that one stays as it
        is, so a replay makes nothing twice. It cannot be loaded in the same batch."""
        write = await Write.of(document, self._store.vault, None, [current_origin()] * len(document.recorded))
        operation = write.once()
        self._scratch.append(
            lambda: self._created.setdefault(type(document), {}).update({document.id: operation})
        )

    # ── what the runtime uses ────────────────────────────────────────────────────────────────────

    async def preload(self, wanted: Mapping[type[Document], Collection[str]]) -> None:
        """Read documents for what is to come, one query per class."""
        for model, ids in wanted.items():
            found = self._store.collection(model).find({"_id": {"$in": list(ids)}}, session=self._session)
            self._loaded |= dict.fromkeys((model, document_id) for document_id in ids)
            self._loaded |= {(model, stored["_id"]): stored async for stored in found}

    def keep(self) -> None:
        """The handler returned: its effects belong to the batch."""
        for effect in self._scratch:
            effect()
        self._scratch.clear()

    def drop(self) -> None:
        """The handler raised: nothing of it stays."""
        self._scratch.clear()

    async def flush(self) -> None:
        """Write all effects: a bulk write per table, then one per class of documents, with their events."""
        by_table: dict[Table, dict[RowId, Row]] = {}
        for (table, row_id), row in self._rows.items():
            by_table.setdefault(table, {})[row_id] = row
        for table, rows in by_table.items():
            if table in self._followed:
                await self._stamp(table, rows.values())
            operations = [row.operation(row_id) for row_id, row in rows.items()]
            collection = self._store.database[table_of(table, self._generation)]
            await collection.bulk_write(operations, ordered=False, session=self._session)
        by_model = {model: list(created.values()) for model, created in self._created.items()}
        for document, origins in self._documents.values():
            write = await Write.of(document, self._store.vault, None, origins)
            by_model.setdefault(type(document), []).append(write.operation())
        for model, operations in by_model.items():
            await self._store.collection(model).bulk_write(operations, ordered=False, session=self._session)

    async def _stamp(self, table: Table, rows: Collection[Row]) -> None:
        stamps = await next_stamps(
            self._store.database,
            stamps_of(table, self._generation),
            {row.inserted[LANE] for row in rows},
            self._session,
        )
        for row in rows:
            row.kept[STAMP] = stamps[row.inserted[LANE]]

    @property
    def models(self) -> set[type[Document]]:
        """The classes of the documents that the batch commits: the relay must look at them."""
        return {model for model, _ in self._documents} | self._created.keys()

    def _row(self, table: Table, row_id: RowId) -> Row:
        key = (table, row_id)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row()
        return row
