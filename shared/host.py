"""A process: one service or several, on one port, with their relays and consumers beside them."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import make_asgi_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from shared import security_log
from shared.consumers.progress import Progress
from shared.consumers.retries import Retries
from shared.consumers.runtime import Runtime
from shared.http.allowances import Allowances
from shared.http.edge import front
from shared.http.identity import Identity, ProductionRefused
from shared.log.archive import Archives
from shared.log.embedded import EmbeddedLog
from shared.log.interface import Log
from shared.log.relay import Relay
from shared.model.clock import now
from shared.mongo.driver import PyMongoError, connect
from shared.mongo.lease import Lease
from shared.privacy.keyring import Keyring
from shared.privacy.vault import Vault
from shared.security_log import Kind
from shared.service import Service
from shared.settings import Settings, use
from shared.store.deadlines import Deadlines
from shared.store.rates import Rates
from shared.store.request_keys import KEPT
from shared.store.store import Store
from shared.telemetry import LOOP_LAG

log = structlog.get_logger()


def make_log(settings: Settings, archives: Archives, instance: str, *, alone: bool) -> Log:
    """Kafka where its address is set, else the embedded log."""
    if settings.kafka_bootstrap_servers:
        from shared.log.broker import Broker
        from shared.log.kafka import KafkaLog

        return KafkaLog(
            Broker.of(settings),
            archives,
            settings.instance,
            replication=settings.kafka_replication_factor,
        )
    return EmbeddedLog(archives, instance, alone=alone)


class Host:
    """Runs `services`. `alone`: no other process runs them too, so no change stream is needed."""

    def __init__(self, services: Sequence[Service], settings: Settings, *, alone: bool = False) -> None:
        assert settings.mongodb_uri
        if settings.production and settings.show_outgoing_messages:
            security_log.record(Kind.PRODUCTION, "refused")
            raise ProductionRefused(
                "生产环境不得显示已发短信 / JINGUO_SHOW_OUTGOING_MESSAGES is for trying out"
            )
        self.services = services
        self.settings = use(settings)
        self.alone = alone
        self.instance = f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"
        self.client = connect(settings.mongodb_uri)
        prefix = settings.database_prefix
        self.vault = Vault(self.client, prefix, Keyring.of(settings), timeout=settings.command_timeout)
        self.identity = Identity(self.settings)
        self.rates = Rates(self.client, prefix, settings.command_timeout)
        self.allowances = Allowances(self.rates, self.vault, settings)
        self.archives = Archives(self.client, prefix)
        self.log = make_log(settings, self.archives, self.instance, alone=alone)
        self.stores = {
            service.name: Store(
                self.client,
                prefix,
                service.name,
                self.vault,
                timeout=settings.command_timeout,
                resources=service.resources,
            )
            for service in services
        }
        self.runtimes = [
            Runtime(consumer, self.stores[service.name], self.log)
            for service in services
            for consumer in service.consumers
        ]
        self.progress = Progress(self.stores, self.runtimes, self.archives, self.log)
        self._deadlines = {
            service.name: Deadlines(self.stores[service.name], service.deadlines)
            for service in services
            if service.deadlines
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._relays: list[Relay] = []

    def app(self) -> Starlette:
        """The ASGI application: every service under its name, health, metrics."""
        routes = [
            start_page(self.services),
            Route("/health/live", self._live),
            Route("/health/ready", self._ready),
            Mount("/metrics", make_asgi_app()),
            *(Mount(f"/{s.name}", self._app_of(s)) for s in self.services),
        ]
        return front(routes, self._lifespan)

    def _app_of(self, service: Service) -> FastAPI:
        return service.app(self.stores[service.name], self.identity, self.allowances)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    # ── life ─────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Create indexes, then start relays, publishers, consumers, jobs and deadlines."""
        security_log.started(production=self.settings.production)
        await asyncio.gather(self.vault.open(), self.identity.check(), self._prepare())
        for service in self.services:
            self._start_relay(service)
            for job in service.jobs:
                name = f"{service.name}.{getattr(job, '__name__', 'job')}"
                self._keep_going(name, partial(job, self.stores[service.name]))
        for name, deadlines in self._deadlines.items():
            self._keep_going(f"{name}.deadlines", deadlines.run)
        for runtime in self.runtimes:
            self._keep_going(runtime.consumer.group, runtime.run)
        for service in self.services:
            if mine := [runtime for runtime in self.runtimes if runtime.store is self.stores[service.name]]:
                self._keep_going(f"{service.name}.parked", Retries(mine).run)
        self._keep_going("answers", self._forget_answers_forever)
        self._keep_going("progress", self.progress.run)
        self._keep_going("loop-lag", self._measure_loop_forever)

    async def _prepare(self) -> None:
        """Create every index, of all services at once: MongoDB takes a moment for each."""
        await asyncio.gather(
            self.rates.prepare(),
            *(self.stores[service.name].prepare(service.stored) for service in self.services),
            *(self.archives[service.name].prepare() for service in self.services),
            *(deadlines.prepare() for deadlines in self._deadlines.values()),
            *(runtime.prepare() for runtime in self.runtimes),
        )

    def _start_relay(self, service: Service) -> None:
        store, archive = self.stores[service.name], self.archives[service.name]
        lease = Lease(store.database["leases"], "relay", self.instance, self.settings.relay_lease)
        relay = Relay(
            store, archive, lease, lambda head: self.log.archived(service.name, head), watch=not self.alone
        )
        self._relays.append(relay)
        self._keep_going(f"{service.name}.relay", relay.run)
        self._keep_going(f"{service.name}.publisher", lambda: self.log.publish_forever(service.name, lease))

    def _keep_going(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` until we stop; a side task that fails says so loudly and starts again."""

        async def guarded_work() -> None:
            while True:
                try:
                    await work()
                except (Exception, asyncio.CancelledError) as error:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    # A library may let the cancellation of a task of its own out: no reason for us to end.
                    log.exception("background work failed", work=name, error=repr(error))
                    await asyncio.sleep(1)

        self._tasks.append(asyncio.create_task(guarded_work(), name=name))

    async def stop(self) -> None:
        """Stop everything within a bounded time; leases are given back so that others go on at once."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=8)
        with suppress(Exception):
            await asyncio.wait_for(self.log.close(), 5)
        for relay in self._relays:
            await relay.lease.release()
        self.vault.close()
        await self.identity.close()
        self.client.close()

    # ── health ───────────────────────────────────────────────────────────────────────────────────

    async def _live(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "live"})

    async def _ready(self, _: Request) -> JSONResponse:
        """503 without MongoDB; without Kafka, and while a group stands still, we serve, and say so."""
        parts = {"mongodb": await self._mongodb_answers(), self.log.name: await self.log.healthy()}
        standing = self.progress.standing_still
        well = all(parts.values()) and not standing
        body = {
            "status": "ready" if well else "degraded" if parts["mongodb"] else "unavailable",
            "parts": {name: "up" if up else "down" for name, up in parts.items()},
            "standing_still": standing,
        }
        return JSONResponse(body, 200 if parts["mongodb"] else 503)

    async def _mongodb_answers(self) -> bool:
        try:
            await asyncio.wait_for(self.client.admin.command("ping"), 1.8)
        except (TimeoutError, PyMongoError):
            return False
        return True

    async def _forget_answers_forever(self) -> None:
        while True:
            for store in self.stores.values():
                await store.forget_answers(now() - KEPT)
            await asyncio.sleep(3600)

    # ── measures ─────────────────────────────────────────────────────────────────────────────────

    async def _measure_loop_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.5
            await asyncio.sleep(0.5)
            LOOP_LAG.set(max(0.0, loop.time() - due))


def start_page(services: Sequence[Service]) -> Route:
    """`/`: which services there are, and where each is described."""
    found = {s.name: {"title": s.title, "docs": f"/{s.name}/docs"} for s in services}
    return Route("/", lambda _: JSONResponse(found))


def serve(app: Any, settings: Settings) -> None:
    """Serve an ASGI application until SIGINT or SIGTERM."""
    # uvicorn raises the signal again once it has shut down; either way we want to leave in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=30,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run()
