"""The store: load documents, change them by their rules, commit them with their events in one write."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar, overload

import structlog
from pydantic import BaseModel

from shared.model.documents import Document, Index
from shared.model.personal import personal_fields, with_plaintext
from shared.model.problems import (
    AlreadyExists,
    NotFound,
    NotStored,
    Problem,
    StaleVersion,
    Unavailable,
)
from shared.mongo.driver import (
    UNSENDABLE,
    Bson,
    BulkWriteError,
    Client,
    Collection,
    Database,
    DuplicateKeyError,
    Session,
    away,
    guarded,
    in_transaction,
)
from shared.mongo.grouping import Grouped
from shared.mongo.indexes import create_all, drop_index
from shared.privacy.vault import Vault
from shared.store import request_keys
from shared.store.answers import AGE, INDEXES, Answers
from shared.store.attempts import repeated
from shared.store.numbering import Numbering
from shared.store.request_keys import RequestKey
from shared.store.unit import Unit
from shared.store.writes import Write, duplicate, unsendable
from shared.telemetry import COMMIT_GROUP, COMMITS

D = TypeVar("D", bound=Document)
A = TypeVar("A", bound=BaseModel | Problem)
T = TypeVar("T")

_PENDING = Index("pending", [("outbox.time", 1)], where={"outbox.0": {"$exists": True}})
OWN_INDEXES = (_PENDING, *INDEXES)
"""Those that every collection has for the store itself."""
log = structlog.get_logger()


class Store:
    """One service's documents. Every method waits at most `timeout` seconds, then raises Unavailable."""

    def __init__(
        self,
        client: Client,
        prefix: str,
        service: str,
        vault: Vault,
        *,
        timeout: float = 1.8,
        resources: Iterable[type[Any]] = (),
    ) -> None:
        self.client = client
        self.service = service
        self.vault = vault
        self.database: Database = client[f"{prefix}_{service}"]
        self.models: list[type[Document]] = []
        self.changed = asyncio.Event()
        """Set after a commit with events: wakes the relay of this process."""
        self.dirty: set[type[Document]] = set()
        """The classes whose documents got events since the relay looked."""
        self.timeout = timeout
        self.answers = Answers(self.database, timeout)
        self._committed_total = COMMITS.labels(service)
        self._commits: dict[type[Document], Grouped[Write, None]] = {}
        self._loads: dict[type[Document], Grouped[str, Bson | None]] = {}
        self._numbering: dict[type[Document], Numbering] = {}
        self._resources = {kind: kind(self) for kind in resources}

    async def prepare(self, models: Sequence[type[Document]]) -> None:
        """Declare the documents of this service and create their indexes."""
        self.models = list(models)
        documents = [(self.collection(model), (*OWN_INDEXES, *model.indexes)) for model in models]
        await create_all([(self.answers.moved, [AGE]), *documents])
        for model in models:
            for name in model.former_indexes:
                await drop_index(self.collection(model), name)

    def collection(self, model: type[Document]) -> Collection:
        """The collection behind a document class, for named queries."""
        return self.database[model.collection]

    def resource(self, kind: type[T]) -> T:
        """What this process has one of, as its service declares it. Raises KeyError for another."""
        found: T = self._resources[kind]
        return found

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    async def find(self, model: type[D], document_id: str) -> D | None:
        """The document, or None. Concurrent loads go to MongoDB together."""
        grouped = self._loads.get(model)
        if grouped is None:
            grouped = self._loads[model] = Grouped(lambda ids: self._load_many(model, ids), self.timeout)
        stored = await grouped(document_id)
        return None if stored is None else model.of_stored(stored)

    async def load(self, model: type[D], document_id: str, *, if_match: str | None = None) -> D:
        """The document. Raises NotFound, StaleVersion (`if_match` names another version)."""
        document = await self.find(model, document_id)
        if document is None:
            raise NotFound(kind=model.collection)
        check_version(document, if_match)
        return document

    async def select(
        self,
        model: type[D],
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 100,
    ) -> list[D]:
        """Documents by a query; queries with a name live in the service's `queries.py`."""
        async with guarded(self.timeout):
            cursor = self.collection(model).find(where, sort=list(sort) or None, limit=limit)
            return [model.of_stored(stored) for stored in await cursor.to_list(None)]

    async def first(self, model: type[D], where: Mapping[str, Any], **sort: int) -> D | None:
        """The one document that a query finds (the first by `sort`), or None."""
        found = await self.select(model, where, sort=list(sort.items()), limit=1)
        return found[0] if found else None

    async def count(self, model: type[Document], where: Mapping[str, Any], *, limit: int) -> int:
        """How many documents match, counted up to `limit`."""
        async with guarded(self.timeout):
            return await self.collection(model).count_documents(where, limit=limit)

    async def aggregate(self, model: type[Document], pipeline: Sequence[Mapping[str, Any]]) -> list[Bson]:
        """The rows of an aggregation over one collection."""
        async with guarded(self.timeout):
            return await self.collection(model).aggregate(list(pipeline)).to_list(None)

    async def unseal(self, *documents: Document) -> None:
        """Open the personal fields in place; they stay None when the person was erased."""
        await asyncio.gather(*(self._unseal(document) for document in documents))

    async def _unseal(self, document: Document) -> None:
        box, person = document._stored.get("sealed"), document.person_id
        if box and person and personal_fields(type(document)):
            context = f"{document.collection}/{document.id}"
            with_plaintext(document, await self.vault.open_box(person, box, context))
            document._opened = True

    async def find_answer(self, request: RequestKey) -> Bson | None:
        """The answer that is kept with an Idempotency-Key: of this request before another's."""
        return await self.answers.find(self.models, request)

    async def forget_answers(self, before: datetime) -> None:
        """Drop the answers kept for Idempotency-Keys that are older than that."""
        await self.answers.forget(self.models, before)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    @overload
    async def commit(self, document: D) -> D: ...
    @overload
    async def commit(self, document: D, answer: Callable[[D], A]) -> A: ...
    async def commit(self, document: D, answer: Callable[[D], A] | None = None) -> D | A:
        """Store a document and its recorded events in one write, majority and journaled.

        `answer` makes the route's answer from the committed document, a problem where it is refused and
        that is remembered; with an Idempotency-Key it is stored in the same write. Raises
        VersionConflict, AlreadyExists, Unavailable.
        """
        write = await self._prepare(document, answer)
        try:
            await self._group(type(document))(write)
        except AlreadyExists as taken:
            await self._name_existing(type(document), taken)
            raise
        self._committed([write])
        return answer(document) if answer else document

    async def _name_existing(self, model: type[Document], taken: AlreadyExists) -> None:
        """Say which document is there, where that may be known; without MongoDB the refusal stands alone."""
        if taken.found_by is None:
            return
        with suppress(Unavailable):
            async with guarded(self.timeout):
                found = await self.collection(model).find_one(taken.found_by, {"_id": 1})
            taken.facts |= {"existing": found["_id"]} if found else {}

    @overload
    async def change(
        self, model: type[D], document_id: str, rule: Callable[[D], object], *, if_match: str | None = None
    ) -> D: ...
    @overload
    async def change(
        self,
        model: type[D],
        document_id: str,
        rule: Callable[[D], object],
        answer: Callable[[D], A],
        *,
        if_match: str | None = None,
    ) -> A: ...
    async def change(
        self,
        model: type[D],
        document_id: str,
        rule: Callable[[D], object],
        answer: Callable[[D], A] | None = None,
        *,
        if_match: str | None = None,
    ) -> D | A:
        """Load, apply `rule`, commit; again from the start when somebody else was faster.

        Raises NotFound, StaleVersion (`if_match` names another version), and what `rule` raises.
        """

        @repeated()
        async def once() -> D | A:
            document = await self.load(model, document_id, if_match=if_match)
            rule(document)
            return await self.commit(document, answer) if answer else await self.commit(document)

        return await once()

    async def commit_next(
        self, document: D, series: str, apply: Callable[[D, int], object], answer: Callable[[D], A]
    ) -> A:
        """Commit a document under the next number of its series: 1, 2, 3, … gap-free, never reused.

        `apply(document, number)` sets the number (the model's `numbered` field) and records the events.
        Raises what `commit` and `apply` raise; then no number was used.
        """
        model = type(document)
        numbering = self._numbering.get(model)
        if numbering is None:
            numbering = self._numbering[model] = Numbering(
                model, self.collection(model), self.answers, self.vault, self._committed, self.timeout
            )
        return answer(await numbering.commit(document, series, apply, answer))

    async def commit_all(self, document: D, *others: Document, answer: Callable[[D], A]) -> A:
        """Commit several documents in one transaction, in this order; one alone needs none.

        `answer` makes the route's answer from the first; with an Idempotency-Key it is stored with it.
        Raises as `commit` does.
        """
        if not others:
            return await self.commit(document, answer)
        writes = [await self._prepare(document, answer)]
        writes += [await self._prepare(other, None) for other in others]

        async def write_all(session: Session) -> None:
            for write in writes:
                await self._write_one(write, session)

        async with guarded(self.timeout):
            await in_transaction(self.client, write_all)
        self._committed(writes)
        return answer(document)

    def together(self, answer: Callable[[Any], A]) -> Unit[A]:
        """Several documents changed as one: `async with store.together(StepView.of) as unit`."""
        return Unit(self, answer)

    async def once(self, work: Callable[[], Awaitable[T]]) -> T:
        """`work`, for a request that no single document answers: under an Idempotency-Key it is done once,
        and its answer is kept by itself. It must be able to go on where a crash stopped it.

        Raises AlreadyExists (the key was used: the answer is sent in its place), and what `work` raises.
        """
        if (request := request_keys.current()) is None:
            return await work()
        await self.answers.check_new(request)
        with request_keys.apart():
            answer = await work()
        await self.answers.keep_alone(request, answer)
        return answer

    async def _write_one(self, write: Write, session: Session) -> None:
        model = type(write.document)
        try:
            await self.collection(model).bulk_write([write.operation()], session=session)
        except BulkWriteError as error:
            raise write.problem(error.details["writeErrors"][0]) from error
        except DuplicateKeyError as error:
            raise duplicate(model, dict(error.details or {}), is_insert=write.is_insert) from error
        except UNSENDABLE as error:
            raise unsendable([write]).get(0, NotStored()) from error

    async def _prepare(self, document: D, answer: Callable[[D], A] | None) -> Write:
        request = request_keys.current()
        kept = (
            None if request is None or answer is None else await self.answers.keep(request, document, answer)
        )
        return await Write.of(document, self.vault, kept)

    def _committed(self, writes: Sequence[Write]) -> None:
        events = any(write.document.recorded for write in writes)
        for write in writes:
            write.done()
        self._committed_total.inc(len(writes))
        if events:
            self.wake_relay(type(write.document) for write in writes)

    def wake_relay(self, models: Iterable[type[Document]]) -> None:
        """Documents of these classes have events waiting."""
        self.dirty.update(models)
        if self.dirty:
            self.changed.set()

    def _group(self, model: type[Document]) -> Grouped[Write, None]:
        grouped = self._commits.get(model)
        if grouped is None:
            grouped = self._commits[model] = Grouped(
                lambda writes: self._write_many(model, writes), self.timeout
            )
        return grouped

    async def _write_many(self, model: type[Document], writes: list[Write]) -> list[Exception | None]:
        results: list[Exception | None] = [None] * len(writes)
        COMMIT_GROUP.observe(len(writes))
        try:
            await self.collection(model).bulk_write([write.operation() for write in writes], ordered=False)
        except BulkWriteError as error:
            if error.details.get("writeConcernErrors"):
                raise away() from error  # a primary stepped down: it is not known whether it will hold
            for failed in error.details["writeErrors"]:
                results[failed["index"]] = writes[failed["index"]].problem(failed)
        except UNSENDABLE:  # one of them, and so none was sent
            return await self._write_others(model, writes, unsendable(writes))
        return results

    async def _write_others(
        self, model: type[Document], writes: list[Write], refused: Mapping[int, Exception]
    ) -> list[Exception | None]:
        others = [write for index, write in enumerate(writes) if index not in refused]
        if len(others) == len(writes):
            raise NotStored()
        written = iter(await self._write_many(model, others) if others else [])
        return [refused[index] if index in refused else next(written) for index in range(len(writes))]

    async def _load_many(self, model: type[Document], ids: list[str]) -> list[Bson | Exception | None]:
        cursor = self.collection(model).find({"_id": {"$in": list(set(ids))}})
        found = {stored["_id"]: stored for stored in await cursor.to_list(None)}
        return [found.get(document_id) for document_id in ids]


def check_version(document: Document, if_match: str | None) -> None:
    """Raises StaleVersion when `If-Match` names another version."""
    if if_match not in (None, "*", document.etag):
        raise StaleVersion(current=document.etag)
