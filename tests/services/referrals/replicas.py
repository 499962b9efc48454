"""Two replicas of the service on one database, in a loop that stands still between two calls of `run`."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx

from services.referrals.app import service
from shared.host import Host
from shared.store.deadlines import Deadlines
from tests.kit.issuing import Issuing
from tests.kit.settings import settings_of
from tests.services.referrals.desk import Desk

T = TypeVar("T")


class Replicas:
    """They answer requests and run nothing beside: events stay where they were stored."""

    def __init__(self, mongodb_uri: str, folder: Path, issuer: Issuing) -> None:
        self._settings = settings_of(mongodb_uri, folder, issuer)
        self._issuer = issuer
        self._runner = asyncio.Runner()
        self.all: list[Desk] = []

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    async def open(self) -> None:
        for _ in range(2):
            host = Host([service], self._settings)
            await host.vault.open()
            await host.stores["referrals"].prepare(service.stored)
            await Deadlines(host.stores["referrals"], service.deadlines).prepare()
            transport = httpx.ASGITransport(app=host.app(), raise_app_exceptions=False)
            http = httpx.AsyncClient(transport=transport, base_url="http://town", timeout=30)
            self.all.append(Desk(host, http, self._issuer))

    async def close(self) -> None:
        for name in ("referrals", "log", "vault"):
            await self.all[0].host.client.drop_database(f"{self._settings.database_prefix}_{name}")
        for desk in self.all:
            await desk.http.aclose()
            await desk.host.stop()

    def ended(self) -> None:
        self._runner.close()
