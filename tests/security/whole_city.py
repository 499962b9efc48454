"""All services in one process, over ASGI, on a real database: what attackers of every class meet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from jinguo.services import SERVICES
from shared.host import Host
from shared.log.relay import pending
from shared.settings import Settings
from tests.kit.issuing import Issuing
from tests.kit.running import eventually


@dataclass
class City:
    """Everything that runs, and a client of it."""

    host: Host
    http: httpx.AsyncClient

    async def consumed(self) -> None:
        """Wait until every consumer has read all that was committed."""
        await eventually(self._read_to_the_end, 20)

    async def _read_to_the_end(self) -> bool:
        for service in self.host.services:
            if (await pending(self.host.stores[service.name]))[0]:
                return False
        for runtime in self.host.runtimes:
            positions = await runtime.cursors.positions()
            for source in runtime.consumer.sources:
                if await self.host.archives[source].lag(positions.get(source, {})):
                    return False
        return True


@asynccontextmanager
async def running_city(
    mongodb_uri: str, folder: Path, issuer: Issuing, **changes: Any
) -> AsyncIterator[City]:
    """The services, started; their databases are dropped at the end."""
    given: dict[str, Any] = {"public_requests_per_minute": 0, "command_timeout": 10} | changes
    settings = Settings(
        mongodb_uri=mongodb_uri,
        database_prefix=f"t{uuid4().hex[:12]}",
        data_dir=folder,
        oidc_issuer=issuer.url,
        **given,
    )
    host = Host(SERVICES, settings, alone=True)
    transport = httpx.ASGITransport(app=host.app(), raise_app_exceptions=False)
    try:
        await host.start()
        async with httpx.AsyncClient(transport=transport, base_url="http://town", timeout=30) as client:
            yield City(host, client)
    finally:
        for name in (*(service.name for service in SERVICES), "log", "vault", "rates"):
            await host.client.drop_database(f"{settings.database_prefix}_{name}")
        await host.stop()
