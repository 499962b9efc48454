"""`jinguo up` as a developer starts it: a process with a MongoDB of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from shared.local.child import free_port
from tests.kit.running import bearer
from tests.kit.waiting import eventually

ROOT = Path(__file__).parents[2]


class Up:
    """One data folder and one port, of the code in a folder; started as often as a test likes."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self.root = root
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "up.log"
        ours = {"JINGUO_DATA_DIR": str(folder / "data"), "JINGUO_PORT": str(self.port)}
        kept = {k: v for k, v in os.environ.items() if "MONGODB" not in k and "KAFKA" not in k}
        self.environment = kept | ours | {"PYTHONPATH": str(root)}
        self.processes: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def stopped_in_the_end(self) -> Iterator["Up"]:
        """All of its processes that still run then."""
        try:
            yield self
        finally:
            for process in self.processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    process.wait(30)

    def start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "jinguo", "up"],
                cwd=self.root,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    async def ready(self) -> None:
        async def answers() -> bool:
            assert self.processes[-1].poll() is None, self.log
            try:
                return self.get("/health/ready").json()["status"] == "ready"
            except httpx.TransportError:
                return False

        await eventually(answers, 60)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=5)

    def post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        """As an officer of the city."""
        answer = httpx.post(self.url + path, json=body, headers=bearer(self.url), timeout=10)
        return dict(answer.raise_for_status().json())

    def tool(self, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """A command of the tool, as in another terminal."""
        return subprocess.run(
            [sys.executable, "-m", "jinguo", *command],
            cwd=self.root,
            env=self.environment | changes,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def refused(self, **changes: str) -> str:
        """The words of one that cannot start."""
        done = self.tool("up", **changes)
        assert done.returncode != 0
        return done.stdout + done.stderr

    @property
    def log(self) -> str:
        return self._log.read_text()

    def family(self) -> list[int]:
        """The process and its children."""
        (process,) = [one for one in self.processes if one.poll() is None]
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return [process.pid, *map(int, children)]
