"""What keeps a service from being built: said when it is declared, not when the first request meets it.

Each of these raises TypeError and names what is missing, or there twice.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi.dependencies.utils import get_flat_params

from shared.consumers.declare import Consumer
from shared.http.access import rule_of
from shared.http.change import changing
from shared.http.reach import check_reach, flat
from shared.http.routes import Router
from shared.model.documents import Document
from shared.model.events import Event
from shared.model.stateful import Stateful
from shared.store.deadlines import Closing, Deadline
from shared.store.request_keys import PROVES
from shared.store.store import OWN_INDEXES
from shared.store.tallies import columns_by

CONTRACTS = "shared.contracts"
"""Where the events of each service are declared, one file a service."""
Deadlines = Sequence[Deadline[Any] | Closing[Any, Any]]


def check_documents(documents: Sequence[type[Document]], deadlines: Deadlines) -> None:
    """Each has a collection of its own; no two indexes of it have one name, none is of former times too; no
    two tallies have one column."""
    _once("a collection", (model.collection for model in documents))
    for model in documents:
        due = [index for deadline in deadlines for of, index in deadline.indexes if of is model]
        names = [index.name for index in (*OWN_INDEXES, *model.indexes, *due)]
        _once(f"an index of {model.__name__}", names)
        if both := set(names) & set(model.former_indexes):
            raise TypeError(f"{model.__name__} has indexes that it no longer has: {', '.join(sorted(both))}")
    for by, columns in columns_by(documents).items():
        _once(f"a tally by {', '.join(by)}", columns)


def check_parts(service: str, documents: Sequence[type[Document]]) -> None:
    """What is part of something stands beside it."""
    for model in documents:
        if model.part_of and model.part_of.whole not in documents:
            whole = model.part_of.whole.__name__
            raise TypeError(f"{model.__name__} is part of {whole}, which {service} does not have")


def check_events(service: str, documents: Sequence[type[Document]]) -> None:
    """Every event of the service's contract is published by one of its documents."""
    published = {event for model in documents for event in model.publishes}
    for event in Event.registry.values():
        if event.__module__ == f"{CONTRACTS}.{service}" and event not in published:
            raise TypeError(f"no document of {service} publishes {event.__name__}")


def check_states(documents: Sequence[type[Document]], deadlines: Deadlines) -> None:
    """What has a history names its workflow; a state that is to end by itself has a deadline that ends it."""
    for model in documents:
        if "history" in model.model_fields and not issubclass(model, Stateful):
            raise TypeError(f"{model.__name__} has a history, and does not name its flow")
        ended = any(deadline.model is model for deadline in deadlines)
        if issubclass(model, Stateful) and model.flow.ending and not ended:
            raise TypeError(f"no deadline of {model.__name__} makes the moves {model.flow.ending}")


def check_deadlines(deadlines: Deadlines) -> None:
    """What a deadline looks at are fields of its documents."""
    for model, index in (found for deadline in deadlines for found in deadline.indexes):
        field = index.keys[0][0]
        if field not in model.model_fields:
            raise TypeError(f"a deadline looks at {model.__name__}.{field}, which is no field")


def check_routes(routers: Iterable[Router]) -> None:
    """Each has a path and method of its own, one rule of who may call it, and nothing in it that could be
    another's (`check_reach`, which raises ValueError)."""
    routes: list[Any] = [route for router in routers for route in router.routes]
    for route in routes:
        if rule_of(route) is None:
            raise TypeError(f"{' '.join(sorted(route.methods))} {route.path} does not say who may call it")
        check_reach(route)
        _check_change(route)
    _once("a route", (f"{method} {_shape(route.path)}" for route in routes for method in route.methods))


def _check_change(route: Any) -> None:
    """On a route that is open to the public only a proof says whose a document is."""
    rule, asked = rule_of(route), get_flat_params(route.dependant)
    proves = any(PROVES in field.field_info.metadata for field in asked)
    changes = any(dependant.call is changing for dependant in flat(route.dependant))
    if changes and rule is not None and not rule.roles and not proves:
        raise TypeError(f"{route.path}: anybody may change a document, and nothing proves whose it is")


def _shape(path: str) -> str:
    """The path without the names of its parameters: they tell no two routes apart."""
    return re.sub(r"{\w+", "{", path)


def check_consumers(service: str, consumers: Sequence[Consumer]) -> None:
    """Each has a group of its own, under the service's name."""
    for consumer in consumers:
        if not consumer.group.startswith(f"{service}."):
            raise TypeError(f"a consumer group of {service} begins with its name: {consumer.group}")
    _once("a consumer group", (consumer.group for consumer in consumers))


def _once(what: str, names: Iterable[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise TypeError(f"{what} is declared twice: {', '.join(twice)}")
