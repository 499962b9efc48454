"""A service: its routes, documents and consumers, said once; everything every service has comes with it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from shared.consumers.declare import Consumer
from shared.http import answers, persons, work
from shared.http.allowances import Allowances
from shared.http.idempotency import IdempotentPosts
from shared.http.identity import Identity
from shared.http.middleware import BodyLimit
from shared.http.pages import Pages
from shared.http.persons import Erasure, PersonalData, Persons
from shared.http.reach import check_reach
from shared.http.routes import Router
from shared.model.documents import Document
from shared.model.stateful import Stateful
from shared.store.deadlines import Closing, Deadline
from shared.store.request_keys import proof_headers
from shared.store.store import Store

Job = Callable[[Store], Awaitable[None]]
"""Background work that runs for as long as the service does; it is started again when it fails."""
Counts = Callable[[Store], Awaitable[dict[str, dict[str, int]]]]
"""What a service counts in its own collections: row id -> column -> count; see `jinguo audit`."""


@dataclass(frozen=True)
class Projection:
    """A table that can be recomputed: the audit compares `shown` with what `source` counts itself."""

    name: str
    source: str
    """The service that holds the truth; its `counts[name]` recomputes it."""
    shown: Counts


@dataclass(frozen=True)
class Service:
    """The declaration of a service, in its `app.py`."""

    name: str
    title: str
    routers: Sequence[Router] = ()
    documents: Sequence[type[Document]] = ()
    consumers: Sequence[Consumer] = ()
    jobs: Sequence[Job] = ()
    deadlines: Sequence[Deadline[Any] | Closing[Any, Any]] = ()
    counts: dict[str, Counts] = field(default_factory=dict)
    projections: Sequence[Projection] = ()
    personal: PersonalData = field(default_factory=PersonalData)
    """What it does with personal data beyond what its documents declare."""
    open_topic: str = ""
    """Why other city systems may read its events, field by field; empty: they may not."""
    pages: Pages | None = None
    """None: it shows people nothing but the documentation of its routes."""

    def __post_init__(self) -> None:
        """Raises TypeError for a history without a workflow, for a state that is to end by itself without
        a deadline that ends it, and for a part of what is not there."""
        for model in self.documents:
            if model.part_of and model.part_of.whole not in self.documents:
                whole = model.part_of.whole.__name__
                raise TypeError(f"{model.__name__} is part of {whole}, which {self.name} does not have")
            if "history" in model.model_fields and not issubclass(model, Stateful):
                raise TypeError(f"{model.__name__} has a history, and does not name its flow")
        for model in self.stateful:
            ended = any(deadline.model is model for deadline in self.deadlines)
            if model.flow.ending and not ended:
                raise TypeError(f"no deadline of {model.__name__} makes the moves {model.flow.ending}")

    @property
    def stateful(self) -> list[type[Stateful]]:
        """Its documents that a workflow moves."""
        return [model for model in self.documents if issubclass(model, Stateful)]

    @cached_property
    def persons(self) -> Persons | None:
        """What it holds about persons, as its documents declare it; None where that is nothing. With it come
        the routes by which a person reads and erases it."""
        found = any(model.known_by for model in self.documents)
        return Persons(self.documents, self.personal) if found else None

    @property
    def stored(self) -> list[type[Document]]:
        """All documents of its database: its own, and those that come with what it declares."""
        return [*self.documents, *([Erasure] if self.persons else [])]

    @cached_property
    def routes(self) -> list[Router]:
        """All routers: its own, and those that come with what it declares."""
        found = [*self.routers]
        if self.persons:
            found.append(persons.router(self.persons))
        if self.stateful:
            due = {d.model: d.field for d in self.deadlines if isinstance(d, Deadline)}
            found.append(work.router(self.stateful, due))
        return found

    def app(self, store: Store, identity: Identity, allowances: Allowances) -> FastAPI:
        """The HTTP side, to be mounted under `/<name>`. Raises ValueError: see `check_reach`."""
        app = FastAPI(
            title=f"{self.title} · {self.name}",
            version="1",
            docs_url=None,  # the framework's own page loads from elsewhere what `pages` serves
            redoc_url=None,
            # Our own trace context goes on into events and consumers; FastAPI's spans end with the
            # request, and looking for their providers took an eighth of a request's time.
            telemetry={"tracing": False, "metrics": False, "logs": False},
            middleware=[
                Middleware(BodyLimit),
                Middleware(
                    IdempotentPosts,
                    find=store.find_answer,
                    blind=store.vault.blind_index,
                    proofs=proof_headers(self.routers),
                ),
            ],
        )
        app.state.store = store
        app.state.identity = identity
        app.state.allowances = allowances
        answers.install(app)
        for router in self.routes:
            for route in router.routes:
                check_reach(route)
            app.include_router(router)
        app.router.routes.extend((self.pages or Pages(self.name)).routes(app.title))
        return app
