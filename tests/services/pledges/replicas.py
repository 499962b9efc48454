"""Two replicas of the service on one database, and commands that reach them at once."""

import asyncio
import gc
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from services.pledges.app import service
from services.pledges.domain.pledge import Pledge
from shared.contracts.pledges import PledgeCodeIssued
from shared.host import Host
from shared.store.store import Store
from tests.kit.issuing import Issuing
from tests.kit.settings import settings_of
from tests.services.pledges.town import KEPT, Town
from tests.services.pledges.wire import Wire

T = TypeVar("T")


class Act(NamedTuple):
    """A command that a caller sends to a replica, `after` so many milliseconds; perhaps given up."""

    replica: int
    path: str
    body: dict[str, Any] | None = None
    after: int = 0
    gives_up: int | None = None
    """Milliseconds after which its caller is gone."""
    key: str | None = None


@dataclass
class Replica:
    """One process of the service: it has its own connections, caches and locks."""

    host: Host
    wire: Wire
    http: httpx.AsyncClient

    @property
    def store(self) -> Store:
        return self.host.stores["pledges"]

    async def crash(self) -> None:
        """It is never heard of again. Of what it was writing, MongoDB has done some, all or nothing."""
        self.host.vault.close()
        await self.host.identity.close()
        await asyncio.to_thread(self.host.client.close)  # it says good-bye over the wire, which we serve
        await self.wire.close()


class Replicas:
    """Runs in a loop of its own, which stands still between two calls of `run`."""

    def __init__(self, mongodb_uri: str, folder: Path, issuer: Issuing) -> None:
        self._port, self._issuer = urlsplit(mongodb_uri).port or 27017, issuer
        self.settings = settings_of(mongodb_uri, folder, issuer)
        self._runner = asyncio.Runner()
        self.all: list[Replica] = []

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    async def open(self) -> None:
        self.all = [await self._fresh() for _ in range(2)]

    async def close(self) -> None:
        for name in ("pledges", "log", "vault"):
            await self.all[0].host.client.drop_database(f"{self.settings.database_prefix}_{name}")
        for replica in self.all:
            await replica.crash()

    def ended(self) -> None:
        self._runner.close()
        gc.collect()  # what a test leaks is told now, to that test

    async def _fresh(self) -> Replica:
        """A replica that answers requests and runs nothing beside: events stay where they were stored."""
        wire = Wire(self._port, Pledge.collection)
        host = Host([service], self.settings.model_copy(update={"mongodb_uri": await wire.open()}))
        await host.vault.open()
        await host.identity.check()  # it has the issuer's keys, as a replica that has served for a while
        await host.stores["pledges"].prepare(service.stored)
        transport = httpx.ASGITransport(app=host.app(), raise_app_exceptions=False)
        headers = self._issuer.bearer() | KEPT
        http = httpx.AsyncClient(transport=transport, base_url="http://town", timeout=30, headers=headers)
        return Replica(host, wire, http)

    @property
    def store(self) -> Store:
        """Of a replica that is up."""
        return self.all[0].store

    async def campaign(self) -> str:
        """A campaign that runs for two months."""
        return await Town(self.all[0].host, self.all[0].http, self._issuer).campaign()

    # ── commands ─────────────────────────────────────────────────────────────────────────────────

    async def post(self, act: Act) -> httpx.Response:
        headers = {"Idempotency-Key": act.key} if act.key else {}
        http = self.all[act.replica].http
        return await http.post(f"/pledges{act.path}", json=act.body, headers=headers)

    async def together(self, acts: Sequence[Act], crashes: int | None = None) -> list[httpx.Response | None]:
        """Send commands at once; None for those that were given up.

        With `crashes`, that replica crashes after a few of them have been sent.
        """
        sent = [asyncio.create_task(self._sent(act)) for act in acts]
        if crashes is not None:
            await asyncio.sleep(0.008)
            theirs = [task for act, task in zip(acts, sent, strict=True) if act.replica == crashes]
            for task in theirs:
                task.cancel()
            await asyncio.gather(*theirs, return_exceptions=True)  # connections of clients are let go of
            await self.all[crashes].crash()
            self.all[crashes] = await self._fresh()
        answers = await asyncio.gather(*sent, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [answer if isinstance(answer, httpx.Response) else None for answer in answers]

    async def _sent(self, act: Act) -> httpx.Response | None:
        await asyncio.sleep(act.after / 1000)
        try:
            async with asyncio.timeout(None if act.gives_up is None else act.gives_up / 1000):
                return await self.post(act)
        except TimeoutError:
            return None

    async def done(self, path: str, body: Any = None) -> Any:
        """The answer to one command, which must succeed."""
        answer = await self.post(Act(0, path, body))
        assert answer.is_success, answer.text
        return answer.json()

    async def codes(self, ids: Iterable[str]) -> dict[str, str]:
        """The newest code of each pledge, opened from its event as the notifier does."""
        found = {}
        async for row in self.store.collection(Pledge).find({"_id": {"$in": list(ids)}}, {"outbox": 1}):
            data = [entry["data"] for entry in row["outbox"] if entry["type"] == PledgeCodeIssued.type]
            event = PledgeCodeIssued.model_validate_json(data[-1])
            await self.all[0].host.vault.open_event(event)
            if event.code:
                found[row["_id"]] = event.code
        return found


def play(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    """Run a state machine: the same examples in every run.

    No failure is made smaller: what an interleaving did once it need not do again.
    """
    bounded = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounded)
