"""A service: its routes, documents and consumers, said once; everything every service has comes with it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from shared import declaration
from shared.consumers.declare import Consumer
from shared.http import answers, persons, work
from shared.http.allowances import Allowances
from shared.http.idempotency import IdempotentPosts
from shared.http.identity import Identity
from shared.http.middleware import BodyLimit
from shared.http.pages import Pages
from shared.http.persons import Erasure, PersonalData, Persons
from shared.http.routes import Router
from shared.model.documents import Document
from shared.model.stateful import Stateful
from shared.store.deadlines import Closing, Deadline
from shared.store.request_keys import proof_headers
from shared.store.store import Store
from shared.store.tallies import Projection, columns_by

Job = Callable[[Store], Awaitable[None]]
"""Background work that runs for as long as the service does; it is started again when it fails."""


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
    projections: Sequence[Projection] = ()
    resources: Sequence[type[Any]] = ()
    """What each process has one of: made of its store, and found by `store.resource(…)`."""
    personal: PersonalData = field(default_factory=PersonalData)
    """What it does with personal data beyond what its documents declare."""
    open_topic: str = ""
    """Why other city systems may read its events, field by field; empty: they may not."""
    pages: Pages | None = None
    """None: it shows people nothing but the documentation of its routes."""
    demo: str = ""
    """The module with its `part` of `jinguo demo`, which nothing else imports; empty: it has none."""

    def __post_init__(self) -> None:
        """Raises TypeError where something is missing, or there twice; see `declaration`."""
        declaration.check_documents(self.stored, self.deadlines)
        declaration.check_parts(self.name, self.documents)
        declaration.check_states(self.documents, self.deadlines)
        declaration.check_deadlines(self.deadlines)
        declaration.check_consumers(self.name, self.consumers)
        declaration.check_events(self.name, self.documents)
        declaration.check_routes(self.routes)

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
        """The HTTP side, to be mounted under `/<name>`."""
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
            app.include_router(router)
        app.router.routes.extend((self.pages or Pages(self.name)).routes(app.title))
        return app


def together(*services: Service) -> tuple[Service, ...]:
    """The services of a platform. Raises TypeError for two with one name, and where what a projection shows
    and what its source tallies by the same groups are not the same columns."""
    if len({service.name for service in services}) < len(services):
        raise TypeError("two services have one name")
    tallied = {
        (service.name, by): set(columns)
        for service in services
        for by, columns in columns_by(service.documents).items()
    }
    shown = {(p.source, p.by): set(p.columns) for service in services for p in service.projections}
    for source, by in tallied.keys() | shown.keys():
        counts, shows = (found.get((source, by), set()) for found in (tallied, shown))
        if counts != shows:
            raise TypeError(
                f"{source} by {', '.join(by)}: tallied and not shown: {sorted(counts - shows)}, "
                f"shown and not tallied: {sorted(shows - counts)}"
            )
    return services
