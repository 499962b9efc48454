"""Three mongods that elect a primary among them, as in production; the processes are ours to harm."""

import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from shared.local.child import free_port, spawn
from shared.local.mongod import REPLICA_SET, TRANSACTION_SECONDS, find_mongod

START_TIMEOUT = 40.0
Client = MongoClient[dict[str, Any]]


class ReplicaSet:
    """Started and with a primary from `start` on. Each node has its folder, and a small cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = [free_port() for _ in range(3)]
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Raises NoMongod, AssertionError."""
        found = cls(folder)
        try:
            for port in found._ports:
                found._launch(port)
            found._initiate()
        except BaseException:
            found.kill()
            raise
        return found

    @property
    def uri(self) -> str:
        return f"mongodb://{','.join(self._hosts)}/?replicaSet={REPLICA_SET}"

    @property
    def _hosts(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self._ports]

    def step_down(self) -> None:
        """The primary hands over to another node, and is none again for 3 s. Returns when there is one."""
        with self._client() as client:
            self._until(lambda: self._complete(client), "two secondaries")
            before = self._primary(client)
            client.admin.command("replSetStepDown", 3, secondaryCatchUpPeriodSecs=2)
            self._until(lambda: self._primary(client) not in (None, before), "another primary")

    def kill_primary(self) -> None:
        """SIGKILL; the others elect one of them, and it comes back as one of the others."""
        with self._client() as client:
            self._until(lambda: self._complete(client), "two secondaries")
            before = self._primary(client)
            assert before
            port = before[1]
            self._nodes[port].kill()
            self._nodes[port].wait()
            self._until(lambda: self._primary(client) not in (None, before), "another primary")
        self._launch(port)

    def kill(self) -> None:
        for node in self._nodes.values():
            node.kill()
            node.wait()

    def _launch(self, port: int) -> None:
        data = self._folder / str(port)
        data.mkdir(parents=True, exist_ok=True)
        options = [
            *("--dbpath", data, "--bind_ip", "127.0.0.1", "--port", port, "--nounixsocket"),
            *("--replSet", REPLICA_SET, "--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *("--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_SECONDS}"),
        ]
        command = [find_mongod(), *map(str, options)]
        self._nodes[port] = spawn(command, output=self._folder / f"{port}.log")

    def _initiate(self) -> None:
        members = [{"_id": number, "host": host} for number, host in enumerate(self._hosts)]
        config = {"_id": REPLICA_SET, "members": members, "settings": {"electionTimeoutMillis": 2000}}
        with Client(f"mongodb://{self._hosts[0]}/?directConnection=true") as client:
            self._until(lambda: client.admin.command("replSetInitiate", config), "three nodes that listen")
        with self._client() as client:
            self._until(lambda: self._complete(client), "two secondaries")

    def _complete(self, client: Client) -> bool:
        """A primary, and two others that may be elected: up to date."""
        status = client.admin.command("replSetGetStatus")
        times = [member["optimeDate"] for member in status["members"] if member["state"] in (1, 2)]
        return len(times) == 3 and max(times) - min(times) < timedelta(seconds=2)

    def _client(self) -> Client:
        return Client(self.uri, serverSelectionTimeoutMS=2000)

    def _primary(self, client: Client) -> tuple[str, int] | None:
        client.admin.command("ping")  # waits until there is one
        return client.primary

    def _until(self, reached: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                if reached():
                    return
            except PyMongoError:
                pass
            assert time.monotonic() < deadline, f"not in time: {what}"
            time.sleep(0.05)
