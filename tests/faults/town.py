"""What the fault tests do: drive workers over HTTP, keep the history of what was acknowledged, compare."""

import asyncio
import base64
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import toy
from toy import until

from shared.archive import Archive
from shared.child import free_port, spawn
from shared.consumers.cursors import Cursors
from shared.store.driver import connect

WORKER = Path(__file__).with_name("worker.py")
MASTER_KEY = base64.b64encode(b"k" * 32).decode()
RECOVERY = 15.0
"""Seconds within which there must be progress after a fault has ended."""


class Worker:
    """One process of the toy service."""

    def __init__(self, environment: dict[str, str], folder: Path, name: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._fault = folder / f"{name}.fault"
        self._log = folder / f"{name}.log"
        self._environment = environment | {
            "JINGUO_PORT": str(port),
            "JINGUO_INSTANCE": name,
            "FAULT": str(self._fault),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        self._process = spawn(["env", *variables, sys.executable, WORKER], output=self._log)

    def arm(self, step: str, countdown: int) -> None:
        """Let it kill itself at the `countdown`-th passing of a step from now on."""
        self._fault.write_text(f"{step}:{countdown}")
        self.signal(signal.SIGUSR1)

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    @property
    def killed_itself(self) -> bool:
        return self._process is not None and self._process.poll() == -signal.SIGKILL


class Town:
    """Workers on one database, clients that pay into accounts, and the history of their commands."""

    def __init__(self, mongodb_uri: str, kafka: str | None, folder: Path, seed: int) -> None:
        self.prefix = f"f{uuid4().hex[:12]}"
        self.random = random.Random(seed)
        self.client = connect(mongodb_uri)
        self.archive = Archive(self.client, self.prefix, "ledger")
        self.database = self.client[f"{self.prefix}_ledger"]
        self.accounts = [f"acc{number:02}" for number in range(12)]
        self.paid: Counter[str] = Counter()
        self.payments: Counter[str] = Counter()
        """What was acknowledged, by account."""
        self.workers: list[Worker] = []
        self._log_name = "kafka" if kafka else "embedded"
        self._folder = folder
        self._http = httpx.AsyncClient(timeout=4, limits=httpx.Limits(max_keepalive_connections=0))
        self._environment = {
            "PYTHONPATH": os.pathsep.join(
                [str(WORKER.parent.parent.parent), os.environ.get("PYTHONPATH", "")]
            ),
            "JINGUO_MONGODB_URI": mongodb_uri,
            "JINGUO_DATABASE_PREFIX": self.prefix,
            "JINGUO_MASTER_KEY": MASTER_KEY,
            "KAFKA_BOOTSTRAP_SERVERS": kafka or "",
        }

    async def worker(self) -> Worker:
        """One more worker, serving."""
        worker = Worker(self._environment, self._folder, f"worker{len(self.workers)}")
        self.workers.append(worker)
        worker.start()
        await self.serving(worker)
        return worker

    async def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        await self._http.aclose()
        self.client.close()

    # ── commands ─────────────────────────────────────────────────────────────────────────────────

    async def serving(self, worker: Worker, seconds: float = 20) -> None:
        async def answers() -> bool:
            try:
                return (await self._http.get(f"{worker.url}/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await until(answers, seconds, "a worker that serves")

    async def open_accounts(self) -> None:
        for account in self.accounts:
            await self._command("/ledger/accounts", {"id": account})

    async def pay(self, payments: int, clients: int = 8) -> None:
        """Pay into random accounts, `clients` at a time; each command until it is acknowledged."""
        orders = [(self.random.choice(self.accounts), self.random.randint(1, 100)) for _ in range(payments)]
        waiting = iter(orders)

        async def client() -> None:
            for account, amount in waiting:
                await self._command(f"/ledger/accounts/{account}/payments", {"amount": amount})
                self.paid[account] += amount
                self.payments[account] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())

    async def _command(self, path: str, body: dict[str, object], seconds: float = 60) -> None:
        """Send with one Idempotency-Key until the answer is a success: lost answers are asked for again."""
        headers = {"Idempotency-Key": self.random.randbytes(12).hex()}
        deadline = time.monotonic() + seconds
        while True:
            for worker in self.random.sample(self.workers, len(self.workers)):
                try:
                    answer = await self._http.post(worker.url + path, json=body, headers=headers)
                except httpx.TransportError:
                    continue
                if answer.is_success:
                    return
                assert answer.status_code in (409, 503), answer.text
            assert time.monotonic() < deadline, f"{path} was not acknowledged within {seconds} s"
            await asyncio.sleep(0.05)

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    async def progress(self, within: float = RECOVERY) -> None:
        """A payment made now takes effect in both groups in time."""
        began = time.monotonic()
        await self.pay(1, clients=1)
        await self._settled(within)
        assert time.monotonic() - began <= within

    async def check(self, within: float = RECOVERY) -> None:
        """Nothing acknowledged lost, every effect once, no key out of order."""
        await self._settled(within)
        accounts = {row["_id"]: row async for row in self.database["accounts"].find()}
        statements = {row["_id"]: row async for row in self.database["statements"].find()}
        for account in self.accounts:
            assert accounts[account]["balance"] == self.paid[account], f"{account}: commands"
            statement = statements.get(account, {"amount": 0, "entries": []})
            assert statement["amount"] == self.paid[account], f"{account}: effects"
            expected = list(range(2, self.payments[account] + 2))  # version 1 opened it
            assert statement["entries"] == expected, f"{account}: order"
            last = await self.database["totals"].find_one({"_id": account})
            assert (last["last"] if last else 1) == self.payments[account] + 1
        row = await self.database["totals"].find_one({"_id": "all"}) or {"count": 0, "amount": 0}
        assert (row["count"], row["amount"]) == (self.payments.total(), self.paid.total())
        assert await self.database["parked"].count_documents({}) == 0
        assert await self.archive.head() == self.payments.total()

    async def _settled(self, seconds: float) -> None:
        groups = [Cursors(self.database, c.group, self._log_name) for c in toy.service.consumers]

        async def nothing_waits() -> bool:
            if await self.database["accounts"].find_one({"outbox.0": {"$exists": True}}, {"_id": 1}):
                return False
            lags = [await self.archive.lag((await g.positions()).get("ledger", {})) for g in groups]
            return not any(lags)

        await until(nothing_waits, seconds, "everything relayed and consumed")


MakeTown = Callable[..., Town]
"""The fixture: `make_town(mongodb_uri, broker, seed)`."""
