"""Child processes that end with their parent, however it ends."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_PR_SET_PDEATHSIG = 1

# Linux sends the death signal when the *thread* that forked ends, so one that lives as long as the
# process does all the forking.
_forker = ThreadPoolExecutor(1, thread_name_prefix="forker")


def spawn(
    command: Sequence[str | Path], *, output: Path | None = None, hold: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own: Ctrl-C in the terminal is ours to turn into an orderly stop.

    `output` is appended to; the child keeps the descriptors `hold` open. On Linux it gets SIGTERM when
    this process ends, by SIGKILL too.
    """
    # This file becomes the command. A `preexec_fn` would do the same, but is unsafe beside threads.
    argv = [sys.executable, "-IS", __file__, str(os.getpid()), *map(str, command)]

    def fork() -> subprocess.Popen[bytes]:
        with Path(output or os.devnull).open("ab") as log:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=hold,
                start_new_session=True,
            )

    return _forker.submit(fork).result()


def end(process: subprocess.Popen[bytes], timeout: float) -> None:
    """SIGTERM, and SIGKILL when `timeout` seconds were not enough."""
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def is_free(port: int) -> bool:
    """Whether nobody listens on `port` of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections linger for a minute
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A free port of 127.0.0.1.

    Below the range the system gives to outgoing connections: there, a client that keeps calling a
    stopped server can end up connected to itself, and the server finds its port taken.
    """
    while not is_free(port := random.randrange(20_000, 32_000)):
        pass
    return port


def _become(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the signal was asked for
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
