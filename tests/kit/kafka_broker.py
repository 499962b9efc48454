"""A real Apache Kafka for tests, one node: an external one, plain Java, or a container."""

import os
import re
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import pytest

from shared.local.child import end, free_port, spawn

ROOT = Path(__file__).parents[2]
POM = ROOT / "deploy/kafka/pom.xml"
VERSION = POM.read_text().partition("<kafka.version>")[2].partition("<")[0]
JARS = ROOT / f".cache/kafka/{crc32(POM.read_bytes()):08x}"
LOGGING = ROOT / "deploy/kafka/log4j2.properties"
STARTED = "Kafka Server started"
START_TIMEOUT = 60.0
DOORS = 4
QUICK = ("-XX:TieredStopAtLevel=1",)
"""A JVM that soon ends is not worth optimising its code: it starts with half the work."""


class NoKafka(Exception):
    """Every way to a Kafka is closed; the message says why, way by way."""


class Door(NamedTuple):
    """A second way in, whose clients are led to another port than it listens on: to a test's proxy."""

    port: int
    advertised: int


class KafkaBroker(ABC):
    """What a test may do to its broker. `start` returns when it serves, and does nothing to one that does."""

    bootstrap: str
    doors: Sequence[Door]

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None:
        """End it in order; the data stays."""

    @abstractmethod
    def kill(self) -> None:
        """End it by SIGKILL; the data stays."""

    @abstractmethod
    def wipe(self) -> None:
        """End it and delete all its data, so that `start` brings up an empty cluster at the same address."""

    @abstractmethod
    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open, nothing answers."""

    @abstractmethod
    def resume(self) -> None: ...

    def discard(self) -> None:
        """End it for good."""
        self.wipe()


class ExternalBroker(KafkaBroker):
    """The cluster at KAFKA_BOOTSTRAP_SERVERS: it may be used, not harmed."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    @property
    def doors(self) -> Sequence[Door]:
        pytest.skip("needs a Kafka with a listener of the test's own: KAFKA_BOOTSTRAP_SERVERS is set")

    def start(self) -> None:
        pass

    def discard(self) -> None:
        pass

    def _refuse(self) -> None:
        pytest.skip("needs a Kafka it may break, and KAFKA_BOOTSTRAP_SERVERS names an external one")

    stop = kill = wipe = pause = resume = _refuse


class SharedBroker(KafkaBroker):
    """One that other tests use at the same time."""

    def __init__(self, bootstrap: str, doors: Sequence[Door]) -> None:
        self.bootstrap, self.doors = bootstrap, doors

    def start(self) -> None:
        pass

    def _refuse(self) -> None:
        raise AssertionError("ask for `own_kafka`: others use this one")

    stop = kill = wipe = pause = resume = discard = _refuse


class JavaBroker(KafkaBroker):
    """A child process on the jars that `deploy/kafka/pom.xml` names; its data is in `data`."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        self._data = data or folder / "data"
        self._config = folder / "server.properties"
        self._log = folder / "kafka.log"
        self._process: subprocess.Popen[bytes] | None = None
        port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self.doors = [Door(free_port(), free_port()) for _ in range(DOORS)]
        listening = [self.bootstrap, *(f"127.0.0.1:{door.port}" for door in self.doors)]
        settings = _settings(listening, _advertised(self), f"127.0.0.1:{controller}")
        settings |= {"log.dirs": self._data}
        self._config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        if self.running:
            return
        if not self._data.exists():
            cluster = urlsafe_b64encode(b"jinguo" + os.urandom(10)).decode().rstrip("=")
            _run(*_java("kafka.tools.StorageTool"), "format", "-t", cluster, "-c", self._config)
        self._log.touch()
        before = self._log.stat().st_size
        self._process = spawn([*_java("kafka.Kafka"), self._config], output=self._log)
        deadline = time.monotonic() + START_TIMEOUT
        while STARTED.encode() not in self._log.read_bytes()[before:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Kafka did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process:
            self.resume()
            end(self._process, timeout=20)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def wipe(self) -> None:
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def pause(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)


class ContainerBroker(KafkaBroker):
    """The official image, through testcontainers."""

    def __init__(self) -> None:
        self._port = free_port()
        self.bootstrap = f"127.0.0.1:{self._port}"
        self.doors = [Door(free_port(), free_port()) for _ in range(DOORS)]
        self._container: Any = None

    def start(self) -> None:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        if self._container is None:
            inside = range(9092, 9093 + DOORS)
            settings = _settings([f":{port}" for port in inside], _advertised(self), "127.0.0.1:9091")
            container = DockerContainer(f"apache/kafka:{VERSION}")
            for port, outside in zip(inside, [self._port, *(door.port for door in self.doors)], strict=True):
                container.with_bind_ports(port, outside)
            for key, value in settings.items():
                container.with_env("KAFKA_" + key.upper().replace(".", "_"), str(value))
            self._container = container.waiting_for(LogMessageWaitStrategy(STARTED))
            self._container.start()
            return
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        if wrapped.status == "running":
            return
        since = time.time()
        wrapped.start()
        while STARTED.encode() not in wrapped.logs(since=since):
            if time.time() > since + START_TIMEOUT:
                raise RuntimeError(f"Kafka did not start: {wrapped.logs(tail=20).decode()}")
            time.sleep(0.2)

    def stop(self) -> None:
        self._container.get_wrapped_container().stop(timeout=20)

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def wipe(self) -> None:
        if self._container:
            self._container.stop()  # testcontainers' word for removing it with its volumes
            self._container = None

    def pause(self) -> None:
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        self._container.get_wrapped_container().unpause()


def find_broker(folder: Path) -> KafkaBroker:
    """A broker not yet started, from the first way open on this machine. Raises NoKafka."""
    if servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return ExternalBroker(servers)
    no_java = _why_no_java()
    if no_java is None:
        return JavaBroker(folder)
    no_docker = _why_not("docker", "info")
    if no_docker is None:
        return ContainerBroker()
    raise NoKafka(f"no KAFKA_BOOTSTRAP_SERVERS; no Java: {no_java}; no Docker: {no_docker}")


def a_broker(folder: Path) -> KafkaBroker:
    """One that is not started. Skips the test where there is no Kafka, but for CI."""
    try:
        return find_broker(folder)
    except NoKafka as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a Kafka: {error}")
        pytest.skip(str(error))


@contextmanager
def running_broker(folder: Path) -> Iterator[KafkaBroker]:
    broker = a_broker(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.discard()


def _settings(listening: Sequence[str], advertised: Sequence[str], controller: str) -> dict[str, Any]:
    """The first listener is the main one, the others are doors."""
    names = ["PLAINTEXT", *(f"DOOR{number}" for number in range(1, len(listening)))]
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": ",".join([*_named(names, listening), f"CONTROLLER://{controller}"]),
        "advertised.listeners": ",".join(_named(names, advertised)),
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@{controller}",
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in [*names, "CONTROLLER"]),
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
        # As in docker-compose.yml, which says why.
        "offsets.topic.num.partitions": 1,
        "broker.session.timeout.ms": 6000,
        "broker.heartbeat.interval.ms": 1000,
    }


def _advertised(broker: KafkaBroker) -> list[str]:
    return [broker.bootstrap, *(f"127.0.0.1:{door.advertised}" for door in broker.doors)]


def _named(names: Sequence[str], addresses: Sequence[str]) -> list[str]:
    return [f"{name}://{address}" for name, address in zip(names, addresses, strict=True)]


def _java(main: str) -> list[str]:
    options = [*QUICK, "-Xmx256m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOGGING}"]
    return ["java", *options, "-cp", f"{JARS}/*", main]


def _why_no_java() -> str | None:
    """None when the jars are here, or could be fetched, and a Java can run them."""
    try:
        release = re.search(r'version "(\d+)', _run("java", "-version"))
        if release is None or int(release[1]) < 17:
            return "it is older than 17"
        if not JARS.exists():
            fresh = JARS.with_suffix(f".{os.getpid()}")
            _run(
                *("mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies"),
                *("-DincludeScope=runtime", f"-DoutputDirectory={fresh}"),
            )
            _move(fresh, JARS)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def _move(fresh: Path, target: Path) -> None:
    """Put a folder in its place, unless somebody who runs beside us was quicker."""
    try:
        fresh.rename(target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(fresh)


def _why_not(*command: str) -> str | None:
    try:
        _run(*command)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def _run(*command: str | Path, timeout: float = 110) -> str:
    result = subprocess.run(command, check=True, text=True, capture_output=True, timeout=timeout)
    return result.stdout + result.stderr
