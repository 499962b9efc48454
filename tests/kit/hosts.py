"""Services that run in the process of a test, on databases that are used again.

What is made for the first test of some services, collections and their indexes, stays for the next; what
is kept in memory goes with the host, which each test has of its own. The databases are emptied before a
test and not after: whatever a failed one left, nobody finds it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import httpx

from shared.host import Host
from shared.mongo.driver import Database, connect, quick
from shared.service import Service
from shared.settings import Settings
from tests.kit.settings import fresh_prefix

COMMON = ("log", "vault", "rates")
"""The databases beside those of the services."""
_unused: defaultdict[tuple[str | None, str], list[str]] = defaultdict(list)
"""Prefixes of databases that a test has done with, by what uses them."""


@contextmanager
def databases(settings: Settings, use: str) -> Iterator[Settings]:
    """The settings with databases that are for one test at a time; `use` tells which tests share them."""
    unused = _unused[settings.mongodb_uri, use]
    prefix = unused.pop() if unused else fresh_prefix()
    yield settings.model_copy(update={"database_prefix": prefix})
    unused.append(prefix)


async def emptied(settings: Settings, services: Sequence[str]) -> None:
    """Delete every document of some services."""
    client = connect(str(settings.mongodb_uri))
    try:
        found = [client[f"{settings.database_prefix}_{name}"] for name in (*services, *COMMON)]
        await asyncio.gather(*map(_empty, found))
    finally:
        client.close()


async def _empty(database: Database) -> None:
    found = await (await database.list_collections()).to_list(None)
    await asyncio.gather(*(_clear(database, one["name"], one.get("options")) for one in found))


async def _clear(database: Database, name: str, options: object) -> None:
    if "@" in name or name.startswith("system.") or options:  # what only one test needs
        await database.drop_collection(name)
    else:
        await quick(database[name]).delete_many({})


@asynccontextmanager
async def running(services: Sequence[Service], settings: Settings) -> AsyncIterator[Host]:
    """A host that is started and, at the end, stopped."""
    names = [service.name for service in services]
    with databases(settings, "+".join(names)) as chosen:
        await emptied(chosen, names)
        host = Host(services, chosen, alone=True)
        try:
            await host.start()
            yield host
        finally:
            await host.stop()


async def all_consumed(host: Host) -> bool:
    """Whether every group has read its archives to their ends."""
    for runtime in host.runtimes:
        positions = await runtime.cursors.positions()
        for source in runtime.consumer.sources:
            if await host.archives[source].lag(positions.get(source, {})):
                return False
    return True


def over_asgi(host: Host, *, raising: bool = True, **headers: str) -> httpx.AsyncClient:
    """A client of all its services, without a network between; `raising` what a route fails with."""
    transport = httpx.ASGITransport(app=host.app(), raise_app_exceptions=raising)
    return httpx.AsyncClient(transport=transport, base_url="http://town", timeout=30, headers=headers)
