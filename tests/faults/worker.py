"""The toy service as a process of its own, which kills itself where it is told to.

At SIGUSR1 it reads `step:n` from the file that FAULT names: a step of the way from a request to its
effects, and at which passing of it from now on the process ends by SIGKILL.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "shared"))

import toy

from shared.archive import Archive
from shared.consumers.runtime import Runtime
from shared.consumers.transaction import Transaction
from shared.host import Host, serve
from shared.log.kafka_publisher import Publisher
from shared.relay import Relay
from shared.settings import Settings
from shared.store.store import Store
from shared.telemetry import configure_logging

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


def arm(step: str, countdown: int) -> None:
    """Let the process end at the `countdown`-th passing of `step`."""
    owner, name, when = STEPS[step]
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


def main() -> None:
    configure_logging()

    def on_signal(*_: object) -> None:
        step, _, countdown = Path(os.environ["FAULT"]).read_text().rpartition(":")
        arm(step, int(countdown))

    signal.signal(signal.SIGUSR1, on_signal)
    settings = Settings()
    serve(Host([toy.service], settings).app(), settings)


if __name__ == "__main__":
    main()
