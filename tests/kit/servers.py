"""One server for all workers of a run: whoever needs it first starts it, and ends it once the others left.

Locks on files, which end with the process that holds them, say who owns a server and who uses it. A worker
that dies takes its servers along; the next that needs one starts it anew.
"""

import fcntl
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

Address = Any
"""What a user has to know of a server: anything that JSON can say."""


class Lock:
    """A lock on a file; shared or not."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, *, shared: bool = False) -> None:
        """Wait for it."""
        fcntl.flock(self._file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def taken(self) -> bool:
        """Take it if nobody else has it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def free(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Free it for good."""
        os.close(self._file)


class Shared:
    """A server by its name in the folder of the run. `running` starts it, gives its address and ends it."""

    def __init__(
        self, folder: Path, name: str, running: Callable[[], AbstractContextManager[Address]]
    ) -> None:
        self._running = running
        self._file = folder / f"{name}.json"
        self._starting = Lock(folder / f"{name}.starting")
        self._owner = Lock(folder / f"{name}.owner")
        self._users = Lock(folder / f"{name}.users")
        self._ours: ExitStack | None = None

    def join(self) -> Address:
        """Its address; it is up until `leave`."""
        self._starting.take()
        try:
            self._users.take(shared=True)  # an owner that is ending its server is waited for
            if self._owner.taken():
                self._start()
            return json.loads(self._file.read_text())
        finally:
            self._starting.free()

    def _start(self) -> None:
        with ExitStack() as started:
            started.callback(self._users.free)
            started.callback(self._owner.free)
            self._file.write_text(json.dumps(started.enter_context(self._running())))
            self._ours = started.pop_all()

    def leave(self) -> None:
        """An owner waits for all others."""
        if self._ours:
            self._users.take()
            self._ours.close()
        else:
            self._users.free()
