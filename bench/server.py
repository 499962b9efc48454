"""The applications under load: `python -m bench.server KIND SETTINGS`, served as in production."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

import orjson
from fastapi import Depends
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Mount

from bench import projection, textbook
from jinguo.issuer import LocalIssuer
from jinguo.services import SERVICES
from services.pledges.api.signings import Form
from services.pledges.app import service as pledges
from shared.host import Host, serve
from shared.http.access import Rule
from shared.http.allowances import Allowances
from shared.http.edge import front
from shared.http.identity import Identity
from shared.http.routes import Router
from shared.local.people import PATH
from shared.model.documents import Document
from shared.model.ids import new_id
from shared.model.personal import PersonId
from shared.mongo.driver import connect
from shared.privacy.keyring import Keyring
from shared.privacy.vault import Vault
from shared.service import Service
from shared.settings import Settings, use
from shared.store.rates import Rates
from shared.store.store import Store
from shared.telemetry import configure_logging

router = Router()


class _Uncounted(Rule):
    async def __call__(self) -> None: ...


@router.post("/campaigns/{campaign_id}/echo", status_code=201)
async def echo(
    campaign_id: str, form: Form, _: Annotated[None, Depends(_Uncounted(frozenset(), "measured"))]
) -> Form:
    """The signing route that only validates and echoes."""
    return form


class Unwritten(Store):
    """Answers as if it had stored the document."""

    async def commit(self, document: Document, answer: Callable[[Any], BaseModel] | None = None) -> Any:
        await self._prepare(document, answer)
        document.version += 1
        return answer(document) if answer else document


class Clear(Vault):
    """Seals nothing: the difference is what encryption costs."""

    async def new_person(self) -> PersonId:
        return new_id()

    async def seal(self, person: PersonId, text: bytes, context: str) -> bytes:
        return text


Work = Callable[[Store, Settings], Awaitable[None]]


def _routes(
    settings: Settings,
    stores: dict[str, type[Store]],
    work: Work | None = None,
    vaults: type[Vault] = Vault,
) -> Starlette:
    """The pledges' routes under each name, on that kind of store, all over one database."""
    assert settings.mongodb_uri
    prefix = use(settings).database_prefix
    client = connect(settings.mongodb_uri)
    vault = vaults(client, prefix, Keyring.of(settings), timeout=settings.command_timeout)
    service = replace(pledges, routers=[*pledges.routers, router])
    made = {
        name: kind(
            client,
            prefix,
            "pledges",
            vault,
            timeout=settings.command_timeout,
            resources=service.resources,
        )
        for name, kind in stores.items()
    }

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await vault.open()
        await rates.prepare()
        for store in made.values():
            await store.prepare(service.stored)
        tasks = [asyncio.create_task(work(store, settings)) for store in made.values()] if work else []
        yield
        for task in tasks:
            task.cancel()

    identity = Identity(settings)
    rates = Rates(client, prefix, settings.command_timeout)
    allowances = Allowances(rates, vault, settings)
    mounts = [Mount(f"/{name}", service.app(store, identity, allowances)) for name, store in made.items()]
    return front(mounts, lifespan)


def _host(settings: Settings, *services: Service, alone: bool = False) -> Starlette:
    return Host(services, settings, alone=alone).app()


quiet = replace(pledges, consumers=(), jobs=())
KINDS: dict[str, Callable[[Settings], Starlette]] = {
    # POST alone, without relay
    "posts": lambda s: _routes(s, {"pledges": Store, "unwritten": Unwritten}),
    "clear-posts": lambda s: _routes(s, {"pledges": Store}, vaults=Clear),
    "textbook-posts": lambda s: _routes(s, {"pledges": textbook.TextbookStore}),
    # the whole way
    "pledges": lambda s: _host(s, quiet),
    "projection": lambda s: _host(s, projection.service),
    "pledges+projection": lambda s: _host(s, quiet, projection.service, alone=True),
    "textbook-pledges": lambda s: _routes(s, {"pledges": textbook.TextbookStore}, textbook.relay),
    "textbook-projection": textbook.projecting,
    # the platform
    "platform": lambda s: _host(s, *SERVICES, alone=True),
    **{service.name + "-service": lambda s, one=service: _host(s, one) for service in SERVICES},
}


def main(kind: str, given: str) -> None:
    settings = use(Settings(**orjson.loads(given)))
    configure_logging("WARNING")
    app = KINDS[kind](settings)
    assert settings.oidc_issuer
    issuer = LocalIssuer(settings.oidc_issuer, settings.data_dir / "issuer.pem", settings.oidc_audience)
    app.mount(PATH, issuer.app())
    serve(app, settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
