"""Lists: one shape everywhere. `items`, and `next`, a cursor that holds while others write.

A cursor is the place of the last item: the values that the list is sorted by. So what is added, changed or
gone meanwhile moves nothing: the next page begins behind that place.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel

from shared.http.views import Cursor
from shared.model.documents import Document
from shared.model.problems import InvalidRequest
from shared.mongo.driver import Bson
from shared.store.store import Store

D = TypeVar("D", bound=Document)
T = TypeVar("T")
Place = list[Any]
"""Where an item stands: the values that the list is sorted by, its id last."""
Sort = Sequence[tuple[str, int]]
_INSTANT = "at"


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = None
    """Give it as `after` for the next page; None on the last."""


Limit = Annotated[int, Query(ge=1, le=200)]
After = Annotated[Cursor | None, Query(description="上一页的 next / `next` of the page before")]


async def page_of(
    store: Store,
    model: type[D],
    where: Mapping[str, Any],
    sort: Sort,
    after: str | None,
    limit: int,
    view: Callable[[D], T],
) -> Page[T]:
    """The page behind a cursor. Raises InvalidRequest for what is no cursor of this list."""
    by = [*sort, ("_id", sort[-1][1] if sort else 1)]
    behind = beyond(by, place_of(after, len(by)))
    found = await store.select(model, {"$and": [dict(where), behind]}, sort=by, limit=limit + 1)
    names = [name for name, _ in sort]
    return cut(found, limit, lambda document: [*(getattr(document, n) for n in names), document.id], view)


def cut(found: Sequence[D], limit: int, place: Callable[[D], Place], view: Callable[[D], T]) -> Page[T]:
    """The page of what was found, up to one more than fits."""
    items, more = found[:limit], len(found) > limit
    return Page(items=[view(item) for item in items], next=cursor(place(items[-1])) if more else None)


def beyond(sort: Sort, place: Place | None) -> Bson:
    """What stands behind a place."""
    if place is None:
        return {}
    ways = []
    for index, (name, direction) in enumerate(sort):
        same = {earlier: value for (earlier, _), value in zip(sort[:index], place, strict=False)}
        ways.append({**same, name: {"$gt" if direction > 0 else "$lt": place[index]}})
    return {"$or": ways}


def cursor(place: Place) -> str:
    """A place as callers carry it: opaque."""
    written = [{_INSTANT: value.isoformat()} if isinstance(value, datetime) else value for value in place]
    return base64.urlsafe_b64encode(orjson.dumps(written)).decode().rstrip("=")


def place_of(after: str | None, length: int) -> Place | None:
    """The place in a cursor of ours; None without one. Raises InvalidRequest for what is none."""
    if after is None:
        return None
    try:
        written = orjson.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
        place = [_value(value) for value in written]
    except (ValueError, TypeError, KeyError, binascii.Error):
        place = []
    if len(place) != length:
        message = "不是此列表的分页标记 / is no cursor of this list"
        raise InvalidRequest(errors=[{"field": "query.after", "message": message, "kind": "cursor"}])
    return place


def _value(written: Any) -> Any:
    """Raises TypeError, ValueError, KeyError for what a cursor never holds, such as an operator."""
    if isinstance(written, dict):
        return datetime.fromisoformat(written[_INSTANT])
    if written is None or isinstance(written, str | int | float):
        return written
    raise TypeError
