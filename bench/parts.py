"""The real parts under a measurement: one mongod, one Kafka, servers and load client in their processes."""

import asyncio
import multiprocessing
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bench import forms, load
from jinguo.issuer import fetch
from services.pledges.demo import OFFICER
from shared.local.child import end, free_port, is_free, spawn
from shared.local.mongod import Mongod
from shared.local.people import PATH
from shared.mongo.driver import Client, connect
from shared.privacy.keyring import Keyring
from shared.privacy.vault import Vault
from shared.settings import Settings
from tests.kit.kafka_broker import KafkaBroker, find_broker

START_TIMEOUT = 60.0


async def until(reached: Callable[[], Awaitable[bool]], seconds: float, pause: float = 0.01) -> None:
    """Ask again and again: what happens in another process tells us nothing. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            if await reached():
                return
            await asyncio.sleep(pause)


@dataclass
class Parts:
    """What rows work with, and how long and how often they measure."""

    folder: Path
    seconds: float = 4.0
    pairs: int = 3
    full: bool = False
    cache_gb: float = 1.0
    _stack: ExitStack = field(default_factory=ExitStack)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @cached_property
    def mongod(self) -> Mongod:
        node = Mongod.start(self.folder / "mongodb", cache_gb=self.cache_gb)
        self._stack.callback(node.kill)
        return node

    @cached_property
    def kafka(self) -> KafkaBroker:
        """Raises NoKafka."""
        broker = find_broker(self.folder)
        self._stack.callback(broker.discard)
        broker.start()
        return broker

    @cached_property
    def _loader(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        return self._stack.enter_context(pool)

    def settings(self, name: str, *, kafka: bool = False) -> Settings:
        """Settings with databases (and topics) that nothing has used before."""
        return Settings(
            mongodb_uri=self.mongod.uri,
            database_prefix=f"{name}{next(self._numbers)}",
            kafka_bootstrap_servers=self.kafka.bootstrap if kafka else None,
            data_dir=self.folder,
            command_timeout=20,
            public_requests_per_minute=0,
            codes_per_minute=0,
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        client = connect(self.mongod.uri)
        try:
            yield client
        finally:
            client.close()

    async def vault(self, client: Client, settings: Settings) -> Vault:
        """The vault of the servers that run under the same settings."""
        vault = Vault(client, settings.database_prefix, Keyring.of(settings))
        await vault.open()
        return vault

    async def load(self, port: int, requests: Sequence[bytes], **how: Any) -> load.Outcome:
        """Send requests from the load process."""
        given = load.Load(port, requests, **{"seconds": self.seconds, **how})
        return await asyncio.get_running_loop().run_in_executor(self._loader, load.run, given)

    @asynccontextmanager
    async def server(self, kind: str, settings: Settings) -> AsyncIterator[int]:
        """An application of `bench.server` in a process of its own; yields its port."""
        port = free_port()
        own = {"port": port, "oidc_issuer": f"http://{load.HOST}:{port}{PATH}"}
        given = settings.model_copy(update=own).model_dump_json(exclude={"master_key"})
        output = self.folder / "servers.log"
        process = spawn([sys.executable, "-m", "bench.server", kind, given], output=output)
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while is_free(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{kind} did not start: {output.read_text()[-2000:]}")
                await asyncio.sleep(0.05)
            yield port
        finally:
            await asyncio.to_thread(end, process, 10)

    def stop(self) -> None:
        self._stack.close()


@contextmanager
def parts(**how: Any) -> Iterator[Parts]:
    """Parts in a throw-away folder."""
    with TemporaryDirectory(prefix="jinguo-bench-") as folder:
        found = Parts(Path(folder), **how)
        try:
            yield found
        finally:
            found.stop()


async def campaign(port: int) -> str:
    """Open a campaign over HTTP. Returns its id."""
    today = datetime.now(UTC)
    body = {
        "title": "公筷公勺进家庭",
        "text": "我家承诺：用餐使用公筷公勺。",
        "opens_at": (today - timedelta(days=1)).isoformat(),
        "closes_at": (today + timedelta(days=30)).isoformat(),
    }
    url = f"http://{load.HOST}:{port}"
    officer = {"Authorization": f"Bearer {await fetch(url, OFFICER)}"}
    async with httpx.AsyncClient(base_url=url, timeout=20, headers=officer) as client:
        answer = await client.post("/pledges/campaigns", json=body)
        answer.raise_for_status()
        return str(answer.json()["id"])


class Signings:
    """Requests that sign: each call gives households that nobody gave before."""

    def __init__(self, campaign_id: str) -> None:
        self._path = f"/pledges/campaigns/{campaign_id}"
        self._given = 0

    def take(self, many: float, end: str = "pledges") -> list[bytes]:
        """So many requests. `end`: the last part of the route."""
        places = forms.evenly(int(many))
        first, self._given = self._given, self._given + len(places)
        return [load.post(f"{self._path}/{end}", form) for form in forms.forms(places, first)]
