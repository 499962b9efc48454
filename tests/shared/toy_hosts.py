"""Replicas of the toy service, in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.host import Host
from shared.service import Service
from shared.settings import Settings
from tests.kit.hosts import databases, emptied
from tests.kit.settings import settings_of
from tests.shared import toy


def toy_settings(mongodb_uri: str, kafka: str | None, folder: Path) -> Settings:
    """Settings with a database prefix of their own."""
    given = {"kafka_bootstrap_servers": kafka, "command_timeout": 5, "public_requests_per_minute": 600}
    return settings_of(mongodb_uri, folder, **given)


class Hosts:
    """Starts and stops replicas on one database prefix."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._made: list[Host] = []

    def make(self, service: Service = toy.service) -> Host:
        """A host that is not started."""
        host = Host([service], self.settings)
        self._made.append(host)
        return host

    async def prepare(self, service: Service = toy.service) -> Host:
        """A host that has its indexes and keys, and runs nothing."""
        host = self.make(service)
        await host.vault.open()
        await host.stores["ledger"].prepare(service.stored)
        await host.archives["ledger"].prepare()
        for runtime in host.runtimes:
            await runtime.prepare()
        return host

    async def start(self, service: Service = toy.service) -> Host:
        host = self.make(service)
        await host.start()
        return host

    async def stop(self, host: Host) -> None:
        self._made.remove(host)
        if host._tasks:
            await host.stop()
        else:
            host.client.close()

    async def close(self) -> None:
        for host in list(self._made):
            await self.stop(host)


@asynccontextmanager
async def toy_hosts(settings: Settings, use: str = "") -> AsyncIterator[Hosts]:
    """Replicas that are stopped at the end. Those of one `use` get each other's databases, emptied; but for
    Kafka, where topics keep what was written."""
    if settings.kafka_bootstrap_servers or not use:
        made = Hosts(settings)
        try:
            yield made
        finally:
            await made.close()
        return
    with databases(settings, f"toy of {use}") as chosen:
        await emptied(chosen, ["ledger"])
        async with toy_hosts(chosen) as made:
            yield made
