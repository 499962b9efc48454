"""The load client: raw HTTP/1.1 over keep-alive connections, in a process of its own."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import uvloop

HOST = "127.0.0.1"
SIGNING_KEY = "kept-by-every-household-of-a-load"
PATIENCE = 30.0
"""Seconds that answers may still take once nothing more is sent."""


def post(path: str, body: Any, key: str | None = None) -> bytes:
    """A POST with a JSON body, ready to be sent; with an Idempotency-Key it can be sent again."""
    content = orjson.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
    head += f"signing-key: {SIGNING_KEY}\r\n"
    head += f"idempotency-key: {key}\r\n" if key else ""
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


class Answer(NamedTuple):
    """What came back for a request."""

    request: bytes
    status: int
    body: bytes
    seconds: float


class Clients:
    """Connections that each send what `take` gives as soon as their last request is answered.

    One that gets None rests until `wake`.
    """

    def __init__(self, take: Callable[[], bytes | None], answered: Callable[[Answer], None]) -> None:
        self.take = take
        self.answered = answered
        self.lost: Exception | None = None
        self._all: list[_Connection] = []
        self._resting: list[_Connection] = []

    async def connect(self, port: int, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, connection = await loop.create_connection(lambda: _Connection(self), HOST, port)
            self._all.append(connection)
            self._resting.append(connection)

    def wake(self) -> None:
        """There may be something to send again."""
        for connection in [self._resting.pop() for _ in range(len(self._resting))]:
            connection.send()

    @property
    def idle(self) -> bool:
        """Whether every request sent is answered. Raises ConnectionError when the server hung up."""
        if self.lost:
            raise self.lost
        return len(self._resting) == len(self._all)

    def close(self) -> None:
        for connection in self._all:
            connection.transport.close()


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._request: bytes | None = None
        self._began = 0.0
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self) -> None:
        self._request = self._clients.take()
        if self._request is None:
            self._clients._resting.append(self)
            return
        self._began = time.perf_counter()
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._received = b""
        assert self._request
        seconds = time.perf_counter() - self._began
        self._clients.answered(Answer(self._request, int(head[9:12]), body, seconds))
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if self._request is not None:
            self._clients.lost = error or ConnectionError("the server hung up")


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


@dataclass(frozen=True)
class Load:
    """Send `requests` in order for at most `seconds`; `rate` a second, or as fast as answers come."""

    port: int
    requests: Sequence[bytes]
    seconds: float
    clients: int = 64
    rate: float | None = None


@dataclass
class Outcome:
    """What a load came to."""

    seconds: float
    statuses: Counter[int]
    latencies: list[float]

    @property
    def accepted(self) -> int:
        """Answers with a 2xx status."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    @property
    def rate(self) -> float:
        """Accepted requests a second. Raises RuntimeError when more than a hundredth was refused."""
        if self.accepted < 0.99 * self.statuses.total():
            raise RuntimeError(f"refused: {dict(self.statuses)}")
        return self.accepted / self.seconds


def run(load: Load) -> Outcome:
    """Drive a load to its end, in this process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(load))


async def _drive(load: Load) -> Outcome:
    outcome = Outcome(0.0, Counter(), [])
    queue = iter(load.requests)
    began = time.perf_counter()
    sent = 0

    def take() -> bytes | None:
        nonlocal sent
        elapsed = time.perf_counter() - began
        if elapsed > load.seconds or (load.rate is not None and sent >= elapsed * load.rate):
            return None
        sent += 1
        return next(queue, None)

    def answered(answer: Answer) -> None:
        outcome.statuses[answer.status] += 1
        outcome.latencies.append(answer.seconds)

    clients = Clients(take, answered)
    await clients.connect(load.port, load.clients)
    began = time.perf_counter()
    await _until_done(clients, load, began)
    outcome.seconds = time.perf_counter() - began
    clients.close()
    return outcome


async def _until_done(clients: Clients, load: Load, began: float) -> None:
    pause = 0.02 if load.rate is None else 0.001
    while True:
        clients.wake()
        await asyncio.sleep(pause)
        elapsed = time.perf_counter() - began
        over = elapsed > load.seconds or load.rate is None
        if over and clients.idle:
            return
        if elapsed > load.seconds + PATIENCE:
            raise TimeoutError("the server does not answer")
