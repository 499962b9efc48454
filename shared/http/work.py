"""`GET /<service>/work`: everything whose turn is the caller's, oldest first. The workflows say it."""

import heapq
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel

from shared.http.access import Caller, Role, may
from shared.http.belonging import belonging
from shared.http.lists import After, Limit, Page, Place, beyond, cut, kind_of, place_of
from shared.http.parameters import StoreDep
from shared.http.routes import Router
from shared.model.clock import now
from shared.model.stateful import Stateful
from shared.mongo.driver import Bson
from shared.store.store import Store

Worker = Annotated[Caller, may(*Role)]
"""Whoever may have a turn in anything: each is shown what is hers, in the role that she acts in."""
SORT = (("since", 1), ("_id", 1))
ALL: Bson = {"since": {"$gte": datetime(1970, 1, 1, tzinfo=UTC)}}
"""In place of a cursor: without it MongoDB would make one condition of several."""


class WorkItem(BaseModel):
    """A record whose turn it is."""

    kind: str
    """What it is: the name of its collection."""
    id: str
    version: int
    state: str
    queue: str
    legal: list[str]
    division: str | None
    since: datetime
    """When it came into this state."""
    due: datetime | None
    """When it moves on by itself."""
    overdue: bool


def router(models: Sequence[type[Stateful]], due: Mapping[type[Stateful], str]) -> Router:
    """The route that every service with workflows has. `due`: by class, the field of its deadline."""
    routes = Router(tags=["work"])

    @routes.get("/work", summary="待办 / What waits for the caller, oldest first")
    async def work(caller: Worker, store: StoreDep, after: After = None, limit: Limit = 50) -> Page[WorkItem]:
        place = place_of(after, [kind_of(Stateful, name) for name, _ in SORT])
        found = await _waiting(store, models, caller, place, limit)
        return cut(found, limit, _place, lambda item: _item(item, due.get(type(item))))

    return routes


async def _waiting(
    store: Store,
    models: Sequence[type[Stateful]],
    caller: Caller,
    place: Place | None,
    limit: int,
) -> list[Stateful]:
    """The oldest that stand behind a place, and one more than fits."""
    if caller.role is Role.RESIDENT:
        turns = [model for model in models if any(q.of_residents for q in model.flow.queues.values())]
        mine = [item for model in turns for item in await belonging(store, model, caller)]
        hers = [item for item in mine if not item.ended and item.flow.queues[item.state].of_residents]
        return sorted((item for item in hers if place is None or _place(item) > place), key=_place)
    found = [await _of_class(store, model, caller, place, limit) for model in models]
    return list(heapq.merge(*found, key=_place))


async def _of_class(
    store: Store, model: type[Stateful], caller: Caller, place: Place | None, limit: int
) -> list[Stateful]:
    states = [state for state, queue in model.flow.queues.items() if caller.role in queue.roles]
    where = model.concerning(caller)
    if not states or where is None:
        return []
    behind = beyond(SORT, place) or ALL
    # State by state: MongoDB reads each from the index of what waits, and merges them in their order. Of
    # several states in one condition it would read all that wait, and sort them.
    each: Bson = {"$or": [{"$and": [{"state": state}, where, behind]} for state in states]}
    return await store.select(model, each, sort=SORT, limit=limit + 1)


def _place(item: Stateful) -> Place:
    return [item.since, item.id]


def _item(item: Stateful, deadline: str | None) -> WorkItem:
    at = getattr(item, deadline) if deadline else None
    return WorkItem(
        kind=item.collection,
        queue=str(item.queue),
        due=at,
        overdue=at is not None and at < now(),
        division=getattr(item, "division", None),
        **{name: getattr(item, name) for name in ("id", "version", "state", "legal", "since")},
    )
