"""Lists: one shape everywhere. `items`, and `next`, a cursor that holds while others write.

    Talks = Annotated[Listing[Talk], listed(Talk, day="starts_at")]

    async def list_talks(team_id: str, _: Anyone, page: Talks) -> Page[TalkView]:
        return await page({"team_id": team_id}, [("starts_at", -1)], TalkView.of)

A cursor is the place of the last item: the values that the list is sorted by. So what is added, changed or
gone meanwhile moves nothing: the next page begins behind that place.
"""

import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from inspect import Parameter, Signature
from types import NoneType
from typing import Annotated, Any, Generic, TypeVar, get_args

import orjson
from fastapi import Depends, Query
from pydantic import BaseModel, Field, TypeAdapter

from shared.city.days import day_bounds
from shared.city.divisions import DivisionCode, division_range
from shared.http.parameters import StoreDep
from shared.http.reach import OwnDivision, open_to_all
from shared.http.views import Cursor, GivenDay, Instant
from shared.model.documents import Document
from shared.model.problems import InvalidRequest
from shared.model.stateful import Stateful
from shared.mongo.driver import Bson
from shared.store.store import Store

D = TypeVar("D", bound=Document)
T = TypeVar("T")
Place = list[Any]
"""Where an item stands: the values that the list is sorted by."""
Sort = Sequence[tuple[str, int]]
_INSTANT = "at"


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = None
    """Give it as `after` for the next page; None on the last."""


Limit = Annotated[int, Query(ge=1, le=200)]
After = Annotated[Cursor | None, Query(description="上一页的 next / `next` of the page before")]


class Listing(Generic[D]):
    """What a route needs to answer with a page: which one, and of which of the documents."""

    def __init__(self, store: Store, model: type[D], asked: Bson, after: str | None, limit: int) -> None:
        self.store = store
        self._model = model
        self._asked = asked
        self._after = after
        self._limit = limit

    async def __call__(
        self,
        where: Mapping[str, Any] | None,
        sort: Sort,
        view: Callable[[D], T],
        *,
        unseal: bool = False,
        unique: bool = False,
    ) -> Page[T]:
        """The page, of what fits `where`, in an order; None: nothing does. `unseal`: the view needs what is
        personal; `unique`: no two have the same place in the order, so that the id need not decide.

        Raises InvalidRequest for what is no cursor of this list; TypeError for a field that may be empty, and
        so has no place in an order.
        """
        if where is None:
            return Page(items=[])
        by = [*sort] if unique else [*(one for one in sort if one[0] != "_id"), ("_id", sort[-1][1])]
        kinds = [kind_of(self._model, name) for name, _ in by]
        conditions = [dict(where), self._asked, beyond(by, place_of(self._after, kinds))]
        wanted = {"$and": [one for one in conditions if one]} if any(conditions) else {}
        found = await self.store.select(self._model, wanted, sort=by, limit=self._limit + 1)
        if unseal:
            await self.store.unseal(*found)
        names = ["id" if name == "_id" else name for name, _ in by]
        return cut(found, self._limit, lambda one: [getattr(one, name) for name in names], view)


def listed(
    model: type[Document],
    *,
    day: str | None = None,
    own: bool = False,
    open_to: str = "",
    without: Collection[str] = (),
) -> Any:
    """The parameters of a list of documents: `after`, `limit`; and as filters `state` and `division`, where
    the class has them, and `day`, where a field says which day or instant is meant by it.

    `own`: the division must be one that the caller is responsible for; `open_to`: why it may be any, where
    the list is not public; `without`: what it makes no sense to ask for. Raises TypeError for a field
    that has no day.
    """
    instants = day is not None and _has_instants(model, day)
    states = type(model.model_fields["state"].default) if issubclass(model, Stateful) else None
    places: Any = OwnDivision if own else DivisionCode
    if open_to:
        places = Annotated[DivisionCode, open_to_all(open_to)]
    filters: dict[str, Any] = {
        **({"state": states} if states else {}),
        **({"division": places} if "division" in model.model_fields else {}),
        **({"day": GivenDay} if day else {}),
    }

    async def listing(store: Store, after: str | None, limit: int, **asked: Any) -> Listing[Any]:
        return Listing(store, model, _asked(asked, day, instants=instants), after, limit)

    wanted = {"store": (StoreDep, ...), "after": (After, None), "limit": (Limit, 50)}
    wanted |= {name: (kind | None, None) for name, kind in filters.items() if name not in without}
    listing.__signature__ = Signature(  # type: ignore[attr-defined]  # FastAPI reads the parameters there
        [
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                annotation=kind,
                default=Parameter.empty if default is ... else default,
            )
            for name, (kind, default) in wanted.items()
        ]
    )
    return Depends(listing)


def _has_instants(model: type[Document], day: str) -> bool:
    """Whether a field has instants, and not days. Raises TypeError for one that has neither."""
    kind = model.model_fields[day].annotation if day in model.model_fields else None
    kinds = {one for one in get_args(kind) or (kind,) if one is not NoneType}
    if len(kinds) != 1 or not any(_holds(one) for one in kinds):
        raise TypeError(f"{model.__name__}.{day} is no day, and no instant")
    return kinds == {datetime}


def _holds(kind: Any) -> bool:
    return kind in (date, datetime) or date in get_args(kind)  # a Day is an annotated date


def _asked(given: Mapping[str, Any], day: str | None, *, instants: bool) -> Bson:
    """The filters as a query."""
    where: Bson = {}
    for name, value in given.items():
        if value is None:
            continue
        if name == "division":
            where[name] = division_range(value)
        elif name == "day":
            assert day
            where[day] = _of_day(value) if instants else value.isoformat()
        else:
            where[name] = value
    return where


def _of_day(day: date) -> Bson:
    begins, ends = day_bounds(day)
    return {"$gte": begins, "$lt": ends}


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


Kind = TypeAdapter[Any]
_KINDS: Mapping[type, Kind] = {
    datetime: TypeAdapter(Instant),
    int: TypeAdapter(Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]),
    str: TypeAdapter(Annotated[str, Field(strict=True, max_length=400)]),
}
"""What stands in a cursor for a field of a type; days and states are texts there."""


@cache
def kind_of(model: type[Document], name: str) -> Kind:
    """What a cursor has for a field that a list is sorted by. Raises TypeError for one that may be empty, or
    has no order."""
    kind = str if name == "_id" else model.model_fields[name].annotation
    if not isinstance(kind, type) or not issubclass(kind, date | int | str):
        raise TypeError(f"nothing is sorted by {model.__name__}.{name}")
    return _KINDS[datetime if issubclass(kind, datetime) else int if issubclass(kind, int) else str]


def place_of(after: str | None, kinds: Sequence[Kind]) -> Place | None:
    """The place in a cursor of ours; None without one. Raises InvalidRequest for what is none, another list's
    among them."""
    if after is None:
        return None
    try:
        written = orjson.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
        if isinstance(written, list):
            return [kind.validate_python(_value(one)) for kind, one in zip(kinds, written, strict=True)]
    except (ValueError, KeyError):  # of base64, JSON and pydantic too
        pass
    message = "不是此列表的分页标记 / is no cursor of this list"
    raise InvalidRequest(errors=[{"field": "query.after", "message": message, "kind": "cursor"}])


def _value(written: Any) -> Any:
    """Raises KeyError for what a cursor never holds, such as an operator."""
    return written[_INSTANT] if isinstance(written, dict) else written
