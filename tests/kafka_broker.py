"""A real Apache Kafka for tests, one node: an external one, plain Java, or a container."""

import os
import re
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from shared.child import end, free_port, spawn

ROOT = Path(__file__).parent.parent
POM = ROOT / "deploy/kafka/pom.xml"
VERSION = POM.read_text().partition("<kafka.version>")[2].partition("<")[0]
JARS = ROOT / f".cache/kafka/{crc32(POM.read_bytes()):08x}"
LOGGING = ROOT / "deploy/kafka/log4j2.properties"
STARTED = "Kafka Server started"
START_TIMEOUT = 60.0


class NoKafka(Exception):
    """Every way to a Kafka is closed; the message says why, way by way."""


class KafkaBroker(ABC):
    """What a test may do to its broker. `start` returns when it serves, and does nothing to one that does."""

    bootstrap: str

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

    def start(self) -> None:
        pass

    def discard(self) -> None:
        pass

    def _refuse(self) -> None:
        pytest.skip("needs a Kafka it may break, and KAFKA_BOOTSTRAP_SERVERS names an external one")

    stop = kill = wipe = pause = resume = _refuse


class JavaBroker(KafkaBroker):
    """A child process on the jars that `deploy/kafka/pom.xml` names; its data is `folder`/data."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._config = folder / "server.properties"
        self._log = folder / "kafka.log"
        self._process: subprocess.Popen[bytes] | None = None
        port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        listeners = f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}"
        settings = _settings(listeners, self.bootstrap, controller) | {"log.dirs": self._data}
        self._config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def start(self) -> None:
        if self._process and self._process.poll() is None:
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
        self._container: Any = None

    def start(self) -> None:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        if self._container is None:
            settings = _settings("PLAINTEXT://:9092,CONTROLLER://:9093", self.bootstrap, 9093)
            container = DockerContainer(f"apache/kafka:{VERSION}").with_bind_ports(9092, self._port)
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


def _settings(listeners: str, advertised: str, controller: int) -> dict[str, Any]:
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://{advertised}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
        # After a SIGKILL the broker's old registration has to expire before it serves again.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }


def _java(main: str) -> list[str]:
    options = ["-Xmx256m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOGGING}"]
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
            fresh.rename(JARS)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def _why_not(*command: str) -> str | None:
    try:
        _run(*command)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def _run(*command: str | Path, timeout: float = 110) -> str:
    result = subprocess.run(command, check=True, text=True, capture_output=True, timeout=timeout)
    return result.stdout + result.stderr
