"""What the operators' commands work through: the databases of a running platform."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jinguo.services import SERVICES
from shared.consumers.runtime import Runtime
from shared.log.archive import Archive, Archives
from shared.log.embedded import EmbeddedLog
from shared.mongo.driver import Client, connect
from shared.privacy.keyring import Keyring
from shared.privacy.vault import Vault
from shared.settings import Settings, settings
from shared.store.store import Store

URI_FILE = "mongodb-uri"
"""Where `jinguo up` leaves the address of the mongod it started."""


class NotRunning(Exception):
    """No MongoDB is known: the platform is not up, and MONGODB_URI is not set."""


def with_database(found: Settings) -> Settings:
    """The settings with the address of the running platform's MongoDB. Raises NotRunning."""
    if found.mongodb_uri:
        return found
    path = found.data_dir / URI_FILE
    if not path.exists():
        raise NotRunning(
            "平台未运行，也未设置 MONGODB_URI / The platform is not up and MONGODB_URI is not set"
        )
    return found.model_copy(update={"mongodb_uri": path.read_text().strip()})


class Platform:
    """Stores, archives and consumer groups of all services, without serving anything."""

    def __init__(self, client: Client, found: Settings) -> None:
        prefix = found.database_prefix
        self.vault = vault = Vault(client, prefix, Keyring.of(found))
        self.settings = found
        self.client = client
        self.stores = {
            service.name: Store(client, prefix, service.name, vault, timeout=300) for service in SERVICES
        }
        self.archives = Archives(client, prefix)
        for service in SERVICES:
            self.archives[service.name] = Archive(client, prefix, service.name)
        log = EmbeddedLog(self.archives, f"cli:{os.getpid()}")
        self.log = log
        self.runtimes = {
            consumer.group: Runtime(consumer, self.stores[service.name], log)
            for service in SERVICES
            for consumer in service.consumers
        }

    def runtime(self, group: str) -> Runtime:
        """A consumer group. Raises LookupError that names those there are."""
        if group not in self.runtimes:
            raise LookupError(f"no group {group}; there are: {', '.join(self.runtimes)}")
        return self.runtimes[group]


@asynccontextmanager
async def platform() -> AsyncIterator[Platform]:
    """The running platform of this machine, or the one the environment names."""
    found = with_database(settings())
    assert found.mongodb_uri
    client = connect(found.mongodb_uri)
    try:
        yield Platform(client, found)
    finally:
        client.close()
