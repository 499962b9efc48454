"""Recounting: tallies made again from the documents themselves, to hold against what a projection shows."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.city.divisions import CITY, county_of
from shared.model.documents import Document
from shared.model.tallies import COUNTY, By, Fold, Sums, Tally
from shared.mongo.driver import Bson
from shared.store.store import Store

Counts = dict[str, dict[str, int]]
"""Row id (the group's values joined by `:`) -> column -> count. What is 0 may be left out."""


@dataclass(frozen=True)
class Projection:
    """A table that can be recounted: the audit compares `shown` with the tallies of `source` by the same."""

    name: str
    source: str
    """The service that holds the truth: the tallies of its documents."""
    by: By
    columns: Collection[str]
    """All that it shows, no more and no less than is tallied; see `together` in `shared.service`."""
    shown: Callable[[Store], Awaitable[Counts]]


def columns_by(models: Iterable[type[Document]]) -> dict[By, list[str]]:
    """The columns that the tallies of these documents add to, by what they group them by."""
    found: defaultdict[By, list[str]] = defaultdict(list)
    for tally in (tally for model in models for tally in model.tallies):
        found[tuple(tally.by)] += tally.columns
    return found


async def recount(store: Store, models: Sequence[type[Document]], by: By) -> Counts:
    """Everything that is tallied by these groups, recounted from the documents."""
    tallies = [(model, tally) for model in models for tally in model.tallies if tuple(tally.by) == by]
    return await counted(store, tallies)


async def counted(store: Store, tallies: Iterable[tuple[type[Document], Tally]]) -> Counts:
    """What some tallies come to together."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for model, tally in tallies:
        adds = tally.adds
        rows = _folded(store, model, tally, adds) if callable(adds) else _summed(store, model, tally, adds)
        async for group, added in rows:
            found[_row_id(group)].update(added)
    return {row: {name: n for name, n in columns.items() if n} for row, columns in found.items()}


def _row_id(group: Mapping[str, Any]) -> str:
    return ":".join(
        county_of(value or CITY) if name == COUNTY else str(value) for name, value in group.items()
    )


Rows = AsyncIterator[tuple[Mapping[str, Any], Mapping[str, int]]]


async def _summed(store: Store, model: type[Document], tally: Tally, adds: Sums) -> Rows:
    """Added up by the database."""
    lists = {name for name, _ in model.bounds}
    each: list[Bson] = [{"$unwind": f"${field}"} for field in tally.by.values() if field in lists]
    group: Bson = {"_id": {name: f"${_stored(field)}" for name, field in tally.by.items()}}
    for column, by in adds.items():
        group[column] = {"$sum": f"${by}" if isinstance(by, str) else by}
    pipeline = [{"$match": tally.where}, *each, {"$group": group}]
    async for row in store.collection(model).aggregate(pipeline):
        yield row.pop("_id"), row


async def _folded(store: Store, model: type[Document], tally: Tally, adds: Fold) -> Rows:
    """Document by document, where a function says what each adds."""
    async for stored in store.collection(model).find(tally.where):
        document = model.of_stored(stored)
        yield {name: getattr(document, field) for name, field in tally.by.items()}, adds(document)


def _stored(field: str) -> str:
    return "_id" if field == "id" else field
