"""Gap-free numbers without a counter.

The number is a field of the document, unique within its series. A writer knows the highest number
already stored and writes the next ones with an *ordered* bulk write: the first failure stops it, so the
numbers present are always 1..n. Two writers that pick the same number collide on the unique index, and
the loser reads the highest number again. There is no counter document to fight over, nothing to
reserve, and so nothing that a crash could leave as a gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from shared.model.documents import Document
from shared.model.personal import personal_fields
from shared.model.problems import AlreadyExists, Problem
from shared.mongo.driver import UNSENDABLE, BulkWriteError, Collection, away
from shared.mongo.grouping import Grouped
from shared.privacy.vault import Vault
from shared.store import request_keys
from shared.store.answers import Answers
from shared.store.request_keys import RequestKey
from shared.store.writes import Write, unsendable
from shared.telemetry import current_traceparent, traced

INDEX = "numbers"
"""The name of the unique index on (series, number) that the document class declares."""


@dataclass(slots=True)
class _Wanted:
    document: Any
    series: str
    apply: Callable[[Any, int], object]
    answer: Callable[[Any], BaseModel | Problem]
    request: RequestKey | None
    traceparent: str | None

    def attempt(self, number: int) -> Document:
        """The document under this number; a second attempt starts from what was loaded."""
        loaded: Document = self.document
        model = type(loaded)
        document = model.of_stored(loaded._stored)
        for name in personal_fields(model):
            document.__dict__[name] = getattr(loaded, name)
        document._opened = loaded._opened
        self.apply(document, number)
        return document


class Numbering:
    """Commits documents of one class under the next number of their series."""

    def __init__(
        self,
        model: type[Document],
        collection: Collection,
        answers: Answers,
        vault: Vault,
        committed: Callable[[Sequence[Write]], None],
        timeout: float,
    ) -> None:
        index = next(index for index in model.indexes if index.name == INDEX)
        self._series_field, self._number_field = (name for name, _ in index.keys)
        self._collection = collection
        self._answers = answers
        self._vault = vault
        self._committed = committed
        self._last: dict[str, int] = {}
        self._grouped: Grouped[_Wanted, Document] = Grouped(self._run, timeout)

    async def commit(
        self,
        document: Any,
        series: str,
        apply: Callable[[Any, int], object],
        answer: Callable[[Any], BaseModel | Problem],
    ) -> Any:
        """See `Store.commit_next`. The document given must have been loaded and not changed since."""
        request, traceparent = request_keys.current(), current_traceparent()
        wanted = _Wanted(document, series, apply, answer, request, traceparent)
        return await self._grouped(wanted)

    async def _run(self, wanted: list[_Wanted]) -> list[Document | Exception]:
        results: dict[int, Document | Exception] = {}
        try:
            while open_ := [index for index in range(len(wanted)) if index not in results]:
                await self._round(wanted, open_, results)
        except BaseException:  # a cancellation too: out of time
            self._last.clear()  # what was written before the failure is not known
            raise
        return [results[index] for index in range(len(wanted))]

    async def _round(
        self, wanted: list[_Wanted], open_: list[int], results: dict[int, Document | Exception]
    ) -> None:
        """Write as many as go through until the first failure, which is settled."""
        await self._learn({wanted[index].series for index in open_})
        writes: list[tuple[int, Write]] = []
        next_number = dict(self._last)
        for index in open_:
            item = wanted[index]
            number = next_number[item.series] + 1
            try:
                writes.append((index, await self._write(item, number)))
                next_number[item.series] = number
            except Exception as error:
                results[index] = error
        if not writes:
            return
        try:
            failed_at, failure = await self._bulk([write for _, write in writes])
        except UNSENDABLE:  # one of them, and so none was sent
            if not (refused := unsendable([write for _, write in writes])):
                raise
            results.update({writes[place][0]: problem for place, problem in refused.items()})
            return
        for index, write in writes[:failed_at]:
            self._committed([write])
            results[index] = write.document
            self._last[wanted[index].series] += 1
        if failure is not None:
            self._settle(wanted, writes[failed_at], failure, results)

    async def _write(self, item: _Wanted, number: int) -> Write:
        with traced(item.traceparent):
            document = item.attempt(number)
            answers, request = self._answers, item.request
            kept = await answers.keep(request, document, item.answer) if request else None
            return await Write.of(document, self._vault, kept)

    async def _bulk(self, writes: list[Write]) -> tuple[int, dict[str, Any] | None]:
        """How many were written, and the error that stopped it."""
        try:
            await self._collection.bulk_write([w.operation() for w in writes], ordered=True)
        except BulkWriteError as error:
            if error.details.get("writeConcernErrors") or not error.details["writeErrors"]:
                raise away() from error
            failed: dict[str, Any] = error.details["writeErrors"][0]
            return failed["index"], failed
        return len(writes), None

    def _settle(
        self,
        wanted: list[_Wanted],
        failed: tuple[int, Write],
        error: dict[str, Any],
        results: dict[int, Document | Exception],
    ) -> None:
        index, write = failed
        problem = write.problem(error)
        if isinstance(problem, AlreadyExists) and problem.index == INDEX:
            self._last.pop(wanted[index].series, None)  # another replica took the number: look again
        else:
            results[index] = problem

    async def _learn(self, series: set[str]) -> None:
        """Know the highest number of each series."""
        for name in series - self._last.keys():
            newest = await self._collection.find_one(
                {self._series_field: name, self._number_field: {"$gte": 1}},
                {self._number_field: 1},
                sort=[(self._number_field, -1)],
            )
            self._last[name] = newest[self._number_field] if newest else 0
