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
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from shared.consumers.cursors import Cursors
from shared.local.child import free_port, spawn
from shared.log.archive import Archive
from shared.mongo.driver import connect
from tests.faults.network import Wire
from tests.kit.kafka_broker import KafkaBroker
from tests.kit.waiting import eventually
from tests.shared import toy

WORKER = Path(__file__).with_name("worker.py")
MASTER_KEY = base64.b64encode(b"k" * 32).decode()
RECOVERY = 15.0
"""Seconds within which there must be progress after a fault has ended."""
ACCOUNTS = 12
THINKING = 0.02
"""Seconds between the payments of one client under load."""


GROUPS = tuple(consumer.group for consumer in toy.service.consumers)


class Order(NamedTuple):
    """A command: a payment, or the opening of an account when there is no amount.

    `due`: what is to be paid into it by itself, `due_in` so many seconds.
    """

    account: str
    amount: int
    key: str
    due: int = 0
    due_in: float = 0


class Worker:
    """One process of the toy service, and its wires to the servers where it has some."""

    def __init__(
        self,
        environment: dict[str, str],
        folder: Path,
        name: str,
        *,
        mongodb: Wire | None = None,
        kafka: Wire | None = None,
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.mongodb, self.kafka = mongodb, kafka
        self.handled = folder / f"{name}.handled"
        """A line for each time that a handler was called: the group and the event's id."""
        self._orders = folder / f"{name}.orders"
        self._log = folder / f"{name}.log"
        self._name = name
        self._environment = environment | {
            "JINGUO_PORT": str(port),
            "JINGUO_INSTANCE": name,
            "ORDERS": str(self._orders),
            "HANDLED": str(self.handled),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, skew: float = 0) -> None:
        """Start it, with a clock that is so many seconds ahead."""
        environment = self._environment | {"SKEW": str(skew)}
        variables = [f"{name}={value}" for name, value in environment.items()]
        self._process = spawn(["env", *variables, sys.executable, WORKER], output=self._log)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def order(self, ailment: str, value: object) -> None:
        """Let something befall it: see `worker.py`."""
        self._orders.write_text(f"{ailment}:{value}")
        self.signal(signal.SIGUSR1)

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def end(self) -> int:
        """End it in order: SIGTERM. Returns its exit code."""
        self.signal(signal.SIGTERM)
        assert self._process
        return self._process.wait(20)

    def last_words(self, lines: int = 200) -> str:
        """The end of its log, and where its tasks stand: pytest shows it with a test that failed."""
        if self._process and self._process.poll() is None:
            self.signal(signal.SIGUSR2)
            time.sleep(0.2)
        written = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join([f"── {self._name} ──", *written[-lines:]])

    @property
    def killed_itself(self) -> bool:
        return self._process is not None and self._process.poll() == -signal.SIGKILL


class Town:
    """Workers on one database, clients that pay into accounts, and the history of their commands.

    `wired`: workers reach MongoDB and Kafka through wires that tests can cut.
    """

    def __init__(
        self, mongodb_uri: str, broker: KafkaBroker | None, folder: Path, seed: int, *, wired: bool = False
    ) -> None:
        self.prefix = f"f{uuid4().hex[:12]}"
        self.random = random.Random(seed)
        self.client = connect(mongodb_uri)
        self.archive = Archive(self.client, self.prefix, "ledger")
        self.database = self.client[f"{self.prefix}_ledger"]
        self.accounts = [f"acc{number:02}" for number in range(ACCOUNTS)]
        """Those that clients pay into, and behind them those that are paid into by themselves."""
        self.paid: Counter[str] = Counter()
        self.payments: Counter[str] = Counter()
        """What was acknowledged, by account."""
        self.workers: list[Worker] = []
        self._made: list[Worker] = []
        self._wires: list[tuple[Wire, Wire | None]] = []
        """Those that no worker uses any more."""
        self._mongodb_uri = mongodb_uri
        self._broker = broker
        self._wired = wired
        self._log_name = "kafka" if broker else "embedded"
        self._folder = folder
        self._http = httpx.AsyncClient(timeout=4, limits=httpx.Limits(max_keepalive_connections=0))
        self._environment = {
            "PYTHONPATH": os.pathsep.join(
                [str(WORKER.parent.parent.parent), os.environ.get("PYTHONPATH", "")]
            ),
            "PYTHONUNBUFFERED": "1",  # the last words before SIGKILL
            "JINGUO_MONGODB_URI": mongodb_uri,
            "JINGUO_DATABASE_PREFIX": self.prefix,
            "JINGUO_MASTER_KEY": MASTER_KEY,
            "JINGUO_PUBLIC_REQUESTS_PER_MINUTE": "0",
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap if broker else "",
        }

    async def open(self, workers: int = 1, *, skew: float = 0) -> list[Worker]:
        """Workers that serve, with clocks ahead and behind by `skew` seconds in turn, and open accounts."""
        clocks = [-skew if number % 2 else skew for number in range(workers)]
        found = [self._start(clock) for clock in clocks]
        await asyncio.gather(*(self.serving(worker) for worker in found))
        self.workers += found
        for account in self.accounts:
            await self._until_acknowledged(Order(account, 0, f"open-{account}"))
        return found

    async def worker(self) -> Worker:
        """One more worker, serving."""
        worker = self._start()
        await self.serving(worker)
        self.workers.append(worker)
        return worker

    def _start(self, skew: float = 0) -> Worker:
        name = f"worker{len(self._made)}"
        worker = self._wired_worker(name) if self._wired else Worker(self._environment, self._folder, name)
        self._made.append(worker)
        worker.start(skew)
        return worker

    def _wired_worker(self, name: str) -> Worker:
        mongodb, kafka = self._wires.pop() if self._wires else self._new_wires()
        environment = self._environment | {"WIRED": f"{self._mongodb_port}:{mongodb.port}"}
        if kafka:
            environment["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{kafka.port}"
        return Worker(environment, self._folder, name, mongodb=mongodb, kafka=kafka)

    def _new_wires(self) -> tuple[Wire, Wire | None]:
        """Kafka leads its clients to the address it advertises: each of its doors to another wire."""
        mongodb = Wire(self._mongodb_port)
        if not self._broker:
            return mongodb, None
        door = self._broker.doors[len(self._made)]
        return mongodb, Wire(door.port, door.advertised)

    @property
    def _mongodb_port(self) -> int:
        port = urlsplit(self._mongodb_uri).port
        assert port
        return port

    async def relay(self) -> Worker:
        """The worker that holds the relay's lease."""

        async def holder() -> Worker | None:
            row = await self.database["leases"].find_one({"_id": "relay"})
            pid = int(row["holder"].split(":")[1]) if row else None
            return next((worker for worker in self.workers if worker.pid == pid), None)

        found: Worker = await eventually(holder, 20, "a relay")
        return found

    async def retire(self, worker: Worker) -> None:
        """End a worker in order; it serves what it has begun."""
        self.workers.remove(worker)
        assert await asyncio.to_thread(worker.end) == 0
        if worker.mongodb:
            self._wires.append((worker.mongodb, worker.kafka))

    async def close(self) -> None:
        for worker in self._made:
            print(worker.last_words())
            worker.kill()
        for wire in {wire for worker in self._made for wire in (worker.mongodb, worker.kafka) if wire}:
            wire.close()
        await self._http.aclose()
        self.client.close()

    # ── commands ─────────────────────────────────────────────────────────────────────────────────

    async def serving(self, worker: Worker, seconds: float = 20) -> None:
        async def answers() -> bool:
            try:
                return (await self._http.get(f"{worker.url}/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers, seconds, "a worker that serves")

    async def pay(
        self, payments: int, clients: int = 8, *, to: str | None = None, via: Sequence[Worker] = ()
    ) -> None:
        """Pay into random accounts or one, `clients` at a time; each command until it is acknowledged, by
        any worker or one of those named."""
        orders = iter([self._order(to) for _ in range(payments)])

        async def client() -> None:
            for order in orders:
                await self._payment(order, via)

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())

    async def promise(self, payments: int, within: float) -> None:
        """Accounts that are paid into by themselves, each once, at moments until then."""
        for _ in range(payments):
            account, amount = f"due{len(self.accounts):03}", self.random.randint(1, 100)
            order = Order(account, 0, f"open-{account}", amount, self.random.uniform(0, within))
            await self._until_acknowledged(order)
            self.accounts.append(account)
            self.paid[account] += amount
            self.payments[account] += 1

    @asynccontextmanager
    async def load(self, clients: int = 4) -> AsyncIterator[None]:
        """Clients that pay, think for a moment and pay again, as long as the block lasts."""
        over = False

        async def client() -> None:
            while not over:
                await self.pay(1, clients=1)
                await asyncio.sleep(THINKING)

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())
            try:
                yield
            finally:
                over = True

    async def refused(self, worker: Worker, *, via: Sequence[Worker]) -> float:
        """A worker answers a command with 503; others take it then. Returns after how many seconds."""
        order = self._order()
        began = time.monotonic()
        answer = await self._send(worker, order)
        assert answer is not None
        assert answer.status_code == 503
        seconds = time.monotonic() - began
        await self._payment(order, via)
        return seconds

    def _order(self, account: str | None = None) -> Order:
        amount, key = self.random.randint(1, 100), self.random.randbytes(12).hex()
        return Order(account or self.random.choice(self.accounts[:ACCOUNTS]), amount, key)

    async def _payment(self, order: Order, via: Sequence[Worker]) -> None:
        await self._until_acknowledged(order, via)
        self.paid[order.account] += order.amount
        self.payments[order.account] += 1

    async def _until_acknowledged(
        self, order: Order, via: Sequence[Worker] = (), seconds: float = 60
    ) -> None:
        """Send with one Idempotency-Key until the answer is a success: lost answers are asked for again."""
        deadline = time.monotonic() + seconds
        while True:
            workers = via or self.workers
            for worker in self.random.sample(workers, len(workers)):
                answer = await self._send(worker, order)
                if answer is not None and answer.is_success:
                    return
                assert answer is None or answer.status_code in (409, 503), answer.text
            assert time.monotonic() < deadline, f"{order} was not acknowledged within {seconds} s"
            await asyncio.sleep(0.05)

    async def _send(self, worker: Worker, order: Order) -> httpx.Response | None:
        """Its answer; None when there was none."""
        path = "/ledger/accounts"
        body: dict[str, object] = {"id": order.account, "due": order.due, "due_in": order.due_in}
        if order.amount:
            path, body = f"{path}/{order.account}/payments", {"amount": order.amount}
        headers = {"Idempotency-Key": order.key}
        try:
            return await self._http.post(worker.url + path, json=body, headers=headers)
        except httpx.TransportError:
            return None

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    async def progress(
        self, within: float = RECOVERY, *, via: Sequence[Worker] = (), groups: Sequence[str] = GROUPS
    ) -> None:
        """A payment made now takes effect in all groups in time, and with it all before it."""
        began = time.monotonic()
        await self.pay(1, clients=1, via=via)
        await self.settled(within, groups)
        assert time.monotonic() - began <= within

    async def check(self, within: float = RECOVERY) -> None:
        """Nothing acknowledged lost, every effect once, no key out of order."""
        await self.settled(within)
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

    def redelivered(self, group: str) -> int:
        """How often the handlers of a group were called for an event that they had been called for."""
        paths = [worker.handled for worker in self._made if worker.handled.exists()]
        calls = [line for path in paths for line in path.read_text().splitlines() if line.startswith(group)]
        return len(calls) - len(set(calls))

    async def largest_batch(self, group: str) -> int:
        """The most events that were committed together in a group."""
        events = await self.archive.read(0, 1_000_000)
        places = Counter[int]()
        async for batch in self.database["batches"].find({"group": group}):
            parts = [(part["partition"], part["after"], part["to"]) for part in batch["parts"]]
            places[batch["_id"]] = sum(
                partition == event.partition and after < event.position <= to
                for partition, after, to in parts
                for event in events
            )
        return max(places.values())

    async def settled(self, seconds: float, groups: Sequence[str] = GROUPS) -> None:
        """What is due was paid, everything is archived, and consumed by these groups."""
        waiting: dict[str, int] = {}

        async def nothing_waits() -> bool:
            due = {"due_at": {"$type": "date"}}
            waiting["deadlines"] = await self.database["accounts"].count_documents(due)
            pending = {"outbox.0": {"$exists": True}}
            waiting["relay"] = await self.database["accounts"].count_documents(pending)
            for group in groups:
                waiting[group] = await self.lag(group)
            return not any(waiting.values())

        try:
            await eventually(nothing_waits, seconds)
        except AssertionError:
            raise AssertionError(f"after {seconds} s there wait for {waiting}") from None

    async def lag(self, group: str) -> int:
        """How many archived events a group has not consumed."""
        positions = await Cursors(self.database, group, self._log_name).positions()
        return await self.archive.lag(positions.get("ledger", {}))

    async def parked(self) -> set[str]:
        """The accounts with parked events."""
        return set(await self.database["parked"].distinct("key"))


MakeTown = Callable[..., Town]
"""The fixture: `make_town(mongodb_uri, broker, seed)`."""
