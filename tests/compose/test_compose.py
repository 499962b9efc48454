"""The compose file as an operator starts it: three replicas behind the gateway, and what kills them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.local.child import free_port

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]
HOUSEHOLDS = 600
PATIENCE = 300


def run(*command: str, timeout: float = 60, env: dict[str, str] | None = None) -> str:
    """Its output. Fails the test with both streams when the command does."""
    done = subprocess.run(
        command, cwd=ROOT, env=env, text=True, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def wait_until(what: str, holds: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.3)


class Platform:
    """One start of the compose file, under a name and ports of its own."""

    def __init__(self) -> None:
        self.name = f"jinguo-test-{uuid4().hex[:8]}"
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        ours = {"JINGUO_PORT": port, "KAFKA_PORT": free_port(), "JINGUO_IMAGE": "jinguo:test"}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("JINGUO_")}
        self._env = kept | {key: str(value) for key, value in ours.items()}

    def compose(self, *arguments: str, timeout: float = 60) -> str:
        return run("docker", "compose", "-p", self.name, *arguments, timeout=timeout, env=self._env)

    def inside(self, service: str, *command: str) -> str:
        return self.compose("exec", "-T", service, *command)

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--quiet", service).split()

    def inspect(self, service: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(run("docker", "inspect", *self.containers(service)))
        return found

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=10)

    def signed(self) -> int:
        """Households on the dashboard; -1 while nobody answers."""
        try:
            answer = self.get("/notifier/dashboards/pledges")
        except httpx.TransportError:
            return -1
        return int(answer.json()["totals"]["signed"]) if answer.is_success else -1

    def relay_of(self, service: str) -> str:
        """The container whose replica is the service's relay."""
        find = f"MongoClient(settings().mongodb_uri).jinguo_{service}.leases.find_one('relay')['holder']"
        program = f"from pymongo import MongoClient; from shared.settings import settings; print({find})"
        holder = self.inside(service, "python", "-c", program)
        host = holder.split(":")[0].strip()  # the start of the container's id
        return next(container for container in self.containers(service) if container.startswith(host))

    def demo(self, output: Path) -> subprocess.Popen[bytes]:
        """Start `jinguo demo` against the gateway, patient enough for a busy machine."""
        patient = (
            f"from jinguo import cli; from shared.local import api; api.PATIENCE = {PATIENCE}; cli.app()"
        )
        options = ["--url", self.url, "--households", str(HOUSEHOLDS)]
        command = [sys.executable, "-c", patient, "demo", *options]
        with output.open("wb") as file:
            return subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """Built, started and healthy; taken down with its volumes, after its logs when a test failed."""
    try:
        subprocess.run(["docker", "compose", "version"], check=True, capture_output=True, timeout=20)
        subprocess.run(["docker", "info"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no Docker engine with compose answers: {error}")
    started, failures, healthy = Platform(), request.session.testsfailed, False
    try:
        started.compose("build", timeout=600)
        began = time.monotonic()
        started.compose("up", "--build", "--wait", "--scale", "pledges=3", timeout=300)
        healthy = True
        say(request, f"\ncompose: healthy after {time.monotonic() - began:.0f} s")
        yield started
    finally:
        if not healthy or request.session.testsfailed > failures:
            say(request, started.compose("ps", "--all"))
            say(request, started.compose("logs", "--no-color", "--tail", "150"))
        started.compose("down", "--volumes", "--remove-orphans", "--timeout", "10", timeout=120)


def say(request: pytest.FixtureRequest, text: str) -> None:
    """Print past pytest's capture: a fixture's output is not shown with the test that failed."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(text, flush=True)


def test_every_replica_runs_without_rights(platform: Platform) -> None:
    replicas = [*platform.inspect("pledges"), *platform.inspect("notifier"), *platform.inspect("gateway")]
    assert len(replicas) == 5
    for replica in replicas:
        assert replica["State"]["Health"]["Status"] == "healthy"
        assert replica["Config"]["User"] == "10001:10001"
        assert replica["HostConfig"]["ReadonlyRootfs"]
        assert replica["HostConfig"]["CapDrop"] == ["ALL"]


def test_image_has_no_build_tools_and_no_database(platform: Platform) -> None:
    look = "ls /opt/jinguo/bin /opt/jinguo/lib/python3.*/site-packages"
    found = platform.inside("notifier", "sh", "-c", look).split()
    assert "jinguo" in found
    assert not {"pip", "hatchling", "editables", "fiftyone", "pytest"} & set(found)


TRY_KAFKA = """
import asyncio
from shared.log.broker import Broker
from shared.log.kafka_clients import end_offsets
from shared.settings import settings

async def main():
    try:
        await end_offsets(Broker.of(settings().model_copy(update={changes})), "jinguo.pledges")
        print("let in")
    except Exception as error:
        print("refused", type(error).__name__)

asyncio.run(main())
"""
TRY_WRITING = """
import asyncio
from aiokafka import AIOKafkaProducer
from shared.log.broker import Broker
from shared.settings import settings

async def main():
    producer = AIOKafkaProducer(**Broker.of(settings()).options)
    await producer.start()
    try:
        await producer.send_and_wait("jinguo.{topic}", None, key=b"nobody")
        print("let in")
    except Exception as error:
        print("refused", type(error).__name__)
    finally:
        await producer.stop()

asyncio.run(main())
"""
TRY_MONGODB = """
from pymongo import MongoClient
from shared.settings import settings

try:
    uri = settings().mongodb_uri.{change}
    MongoClient(uri, serverSelectionTimeoutMS=3000)["jinguo_{database}"]["leases"].find_one()
    print("let in")
except Exception as error:
    print("refused", error)
"""


def in_pledges(platform: Platform, program: str) -> str:
    return platform.inside("pledges", "python", "-c", program).strip()


def test_kafka_lets_nobody_in_without_their_own_password(platform: Platform) -> None:
    anothers = platform.inside("notifier", "cat", "/run/secrets/jinguo_kafka_password")
    stolen = f'{{"kafka_password": __import__("pydantic").SecretStr("{anothers}")}}'
    nobody = '{"kafka_username": None, "kafka_password": None}'
    clear = '{"kafka_ca_file": None}'
    assert in_pledges(platform, TRY_KAFKA.replace("{changes}", "{}")) == "let in"
    for changes in (stolen, nobody, clear):
        assert in_pledges(platform, TRY_KAFKA.replace("{changes}", changes)).startswith("refused")


def test_kafka_lets_nobody_write_what_is_anothers(platform: Platform) -> None:
    for topic in ("notifier", "referrals"):
        told = in_pledges(platform, TRY_WRITING.replace("{topic}", topic))
        assert told == "refused TopicAuthorizationFailedError"


def test_mongodb_lets_nobody_in_without_their_own_password(platform: Platform) -> None:
    own, anothers = (
        platform.inside(name, "cat", "/run/secrets/jinguo_mongodb_uri").split("@")[0].rpartition(":")[2]
        for name in ("pledges", "notifier")
    )
    attempts = {
        "strip()": ("pledges", "let in"),
        "lstrip()": ("notifier", "refused not authorized"),
        f"replace('{own}', '{anothers}')": ("pledges", "refused authentication failed"),
        f"replace('pledges:{own}@', '')": ("pledges", "refused command find requires authentication"),
        "replace('tls=true&tlsCAFile=%2Frun%2Fsecrets%2Fca.pem', '')": ("pledges", "refused "),
    }
    for change, (database, told) in attempts.items():
        program = TRY_MONGODB.replace("{change}", change).replace("{database}", database)
        assert in_pledges(platform, program).lower().startswith(told)


def test_no_secret_is_in_a_log_or_in_the_environment(platform: Platform) -> None:
    services = ("pledges", "referrals", "notifier")
    uris = [platform.inside(name, "cat", "/run/secrets/jinguo_mongodb_uri") for name in services]
    passwords = [platform.inside(name, "cat", "/run/secrets/jinguo_kafka_password") for name in services]
    passwords += [uri.split("@")[0].rpartition(":")[2] for uri in uris]
    assert len(set(passwords)) == 6
    told = platform.compose("logs", "--no-color") + json.dumps(platform.inspect("pledges"))
    assert not [password for password in passwords if password in told]


def test_gateway_has_the_paths_of_make_up(platform: Platform) -> None:
    assert set(platform.get("/").json()) == {"pledges", "referrals", "notifier"}
    assert platform.get("/health/live").json() == {"status": "live"}
    assert platform.get("/health/ready").json()["status"] == "ready"
    for path in (
        "/pledges/docs",
        "/referrals/docs",
        "/notifier/docs",
        "/notifier/dashboards/pledges/page",
        "/notifier/outgoing",
    ):
        assert platform.get(path).is_success, path


def test_gateway_keeps_the_metrics_inside(platform: Platform) -> None:
    answer = platform.get("/metrics")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_gateway_passes_server_sent_events_on_at_once(platform: Platform) -> None:
    stream = httpx.stream("GET", f"{platform.url}/notifier/dashboards/pledges/stream", timeout=10)
    with stream as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert next(answer.iter_lines())


def test_every_household_is_counted_although_relay_and_broker_are_killed(
    platform: Platform, tmp_path: Path
) -> None:
    relay = platform.relay_of("pledges")
    (broker,) = platform.containers("kafka")
    output = tmp_path / "demo"
    demo = platform.demo(output)
    try:
        wait_until("some have signed", lambda: platform.signed() >= 30, 120)
        run("docker", "kill", relay)
        before = platform.signed()
        wait_until("the other replicas go on", lambda: platform.signed() >= before + 30, 60)
        run("docker", "kill", broker)
        wait_until("degraded", lambda: platform.get("/health/ready").json()["status"] == "degraded", 15)
        assert demo.poll() is None, f"the demo was over too early\n{output.read_text()}"
        platform.compose("up", "--no-build", "--no-deps", "--no-recreate", "--wait", "kafka", timeout=120)
        run("docker", "start", relay)
        assert demo.wait(timeout=2 * PATIENCE) == 0, output.read_text()
    finally:
        demo.kill()
        demo.wait()
        print(output.read_text())
    audited = platform.compose("run", "--rm", "-T", "operator", "audit", "--wait", "120", timeout=180)
    assert "drift 0" in audited
    assert platform.signed() == HOUSEHOLDS
