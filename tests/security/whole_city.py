"""All services in one process, over ASGI, on a real database: what attackers of every class meet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from jinguo.services import SERVICES
from shared.host import Host
from shared.log.relay import pending
from tests.kit.hosts import all_consumed, over_asgi, running
from tests.kit.issuing import Issuing
from tests.kit.settings import settings_of
from tests.kit.waiting import eventually


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
        return await all_consumed(self.host)


@asynccontextmanager
async def running_city(
    mongodb_uri: str, folder: Path, issuer: Issuing, **changes: Any
) -> AsyncIterator[City]:
    """The services, started."""
    settings = settings_of(mongodb_uri, folder, issuer, **changes)
    async with running(SERVICES, settings) as host, over_asgi(host, raising=False) as http:
        yield City(host, http)
