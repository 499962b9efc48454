"""The toy service as a process of its own, and what can befall it.

At SIGUSR1 it reads an order from the file that ORDERS names:
`<step>:n`: it kills itself at the n-th passing, from now on, of a step from a request to its effects;
`slow:s`: the handler of statements takes s seconds for each event;
`poison:account`: that handler cannot handle the events of an account; of none, when it is empty.
At SIGUSR2 it prints where its tasks stand.
With WIRED (`port:other`) its connections to the one port lead to the other, which is a wire to the first.
Its clock is SKEW seconds ahead, and it writes down in HANDLED which events its handlers were called for.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

from shared.consumers.declare import Consumer, Handler
from shared.consumers.runtime import Runtime
from shared.consumers.transaction import Transaction
from shared.host import Host, serve
from shared.log.archive import Archive
from shared.log.kafka_publisher import Publisher
from shared.log.relay import Relay
from shared.model.clock import moved
from shared.settings import Settings
from shared.store.deadlines import Deadlines
from shared.store.store import Store
from shared.telemetry import configure_logging
from tests.shared import toy

STEPS: dict[str, tuple[type, str, str]] = {
    # of a command
    "before write": (Store, "_write_many", "before"),
    "after write": (Store, "_write_many", "after"),
    # of the relay: archived and not cleared; cleared; acknowledged by the broker and that not noted
    "after archive": (Archive, "append", "after"),
    "after clear": (Relay, "_clear", "after"),
    "after ack": (Publisher, "_save", "before"),
    # of a consumer's batch
    "in handler": (Runtime, "_handle", "after"),
    "before commit": (Transaction, "flush", "after"),
    "after commit": (Runtime, "_announce", "before"),
}

DEADLINE_STEPS: dict[str, tuple[type, str, str]] = {
    "before deadline": (Deadlines, "_act", "before"),
    "after deadline": (Deadlines, "_act", "after"),
}


def arm(step: str, countdown: int) -> None:
    """Let the process end at the `countdown`-th passing of `step`."""
    owner, name, when = (STEPS | DEADLINE_STEPS)[step]
    original: Callable[..., Any] = getattr(owner, name)

    def passing() -> None:
        nonlocal countdown
        countdown -= 1
        if countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @wraps(original)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            passing()
        result = await original(*args, **kwargs)
        if when == "after":
            passing()
        return result

    @wraps(original)
    def wrapped_plain(*args: Any, **kwargs: Any) -> Any:
        passing()
        return original(*args, **kwargs)

    setattr(owner, name, wrapped_plain if name == "_announce" else wrapped)


class Ailing:
    """A function around a handler: slow, and poisoned by the events of an account."""

    def __init__(self) -> None:
        self.slow = 0.0
        self.poison = ""

    def around(self, handler: Handler) -> Handler:
        async def handle(event: Any, tx: Transaction) -> None:
            if self.slow:
                await asyncio.sleep(self.slow)
            if event.envelope.subject == self.poison:
                raise toy.Poisoned(event.envelope.id)
            await handler(event, tx)

        return handle


def noted(handler: Handler, group: str, journal: int) -> Handler:
    """A function around a handler that writes every call down; a line survives SIGKILL."""

    async def handle(event: Any, tx: Transaction) -> None:
        os.write(journal, f"{group} {event.envelope.id}\n".encode())
        await handler(event, tx)

    return handle


def put_around(consumer: Consumer, wrap: Callable[[Handler], Handler]) -> None:
    for event, handler in consumer.handlers.items():
        consumer.handlers[event] = wrap(handler)


def wire(port: int, other: int) -> None:
    """Lead what connects to a port to another one: the members of a replica set go by their own addresses."""
    connect = socket.socket.connect

    def led(self: socket.socket, address: Any) -> None:
        host, to, *rest = address
        connect(self, (host, other if to == port else to, *rest))

    socket.socket.connect = led  # type: ignore[method-assign]


def tell_tasks(*_: object) -> None:
    """Where each of our tasks stands, for the report of a test that failed."""
    for task in asyncio.all_tasks():
        where, awaited = list[str](), task.get_coro()
        while frame := getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None):
            where.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}")
            awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
        print(task.get_name(), *where, sep="\n    ")


def main() -> None:
    configure_logging()
    ailing = Ailing()
    journal = os.open(os.environ["HANDLED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    put_around(toy.statements, ailing.around)
    for consumer in toy.service.consumers:
        put_around(consumer, lambda handler, group=consumer.group: noted(handler, group, journal))

    def on_signal(*_: object) -> None:
        order, _, value = Path(os.environ["ORDERS"]).read_text().rpartition(":")
        match order:
            case "slow":
                ailing.slow = float(value)
            case "poison":
                ailing.poison = value
            case step:
                arm(step, int(value))

    signal.signal(signal.SIGUSR1, on_signal)
    signal.signal(signal.SIGUSR2, tell_tasks)
    if wired := os.environ.get("WIRED"):
        wire(*map(int, wired.split(":")))
    settings = Settings()
    with moved(timedelta(seconds=float(os.environ["SKEW"]))):
        serve(Host([toy.service], settings).app(), settings)


if __name__ == "__main__":
    main()
