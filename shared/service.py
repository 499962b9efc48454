"""A service: its routes, documents and consumers, said once; everything every service has comes with it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from starlette.middleware import Middleware

from shared import problems
from shared.allowances import Allowances
from shared.consumers.declare import Consumer
from shared.deadlines import Closing, Deadline
from shared.documents import Document
from shared.idempotency import IdempotentPosts, proof_headers
from shared.identity import Identity
from shared.middleware import BodyLimit
from shared.pages import Pages
from shared.reach import check_reach
from shared.store.store import Store
from shared.strict import Router

if TYPE_CHECKING:
    from shared.persons import PersonalData

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
    personal: "PersonalData | None" = None
    """How it finds and marks what it holds about a person; None where it holds nothing."""
    open_topic: str = ""
    """Why other city systems may read its events, field by field; empty: they may not."""
    pages: Pages | None = None
    """None: it shows people nothing but the documentation of its routes."""

    def __post_init__(self) -> None:
        """Refuse what would hang: a state that is to end by itself, and no deadline that ends it."""
        for model in self.documents:
            if model.flow is None and "history" in model.model_fields:
                raise TypeError(f"{model.__name__} has a history, and does not name its flow")
            ended = any(deadline.model is model for deadline in self.deadlines)
            if model.flow and model.flow.ending and not ended:
                raise TypeError(f"no deadline of {model.__name__} makes the moves {model.flow.ending}")

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
        problems.install(app)
        for router in self.routers:
            for route in router.routes:
                check_reach(route)
            app.include_router(router)
        app.router.routes.extend((self.pages or Pages(self.name)).routes(app.title))
        return app


async def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


StoreDep = Annotated[Store, Depends(_store)]
"""`store: StoreDep` in a route."""
IfMatch = Annotated[str | None, Header(alias="If-Match", pattern=r"^[ -~]{0,200}$")]
"""`if_match: IfMatch` in a route that changes one document."""
