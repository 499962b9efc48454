"""`jinguo up` as a developer starts it: a process with a MongoDB of its own, stopped and killed."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.local.child import free_port
from tests.flows.up import Up
from tests.kit.running import a_campaign
from tests.kit.waiting import eventually

MEGABYTES = 400
"""All together, idle (`make up`'s promise)."""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with Up(tmp_path).stopped_in_the_end() as found:
        yield found


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def check_refusals(up: Up, folder: Path) -> None:
    """What keeps another one from starting is said in a sentence."""
    assert f"{up.port} is taken" in up.refused()
    elsewhere = {"JINGUO_PORT": str(free_port())}
    told = up.refused(**elsewhere)
    assert "data" in told and "Traceback" not in told
    production = {"JINGUO_PRODUCTION": "true", "JINGUO_DATA_DIR": str(folder / "other")}
    told = up.refused(**elsewhere, **production)
    assert "JINGUO_OIDC_ISSUER" in told and "Traceback" not in told


def check_log(log: str) -> None:
    """Every line is JSON, but for what it says of itself at the start."""
    lines = log.splitlines()
    found: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith("{")]
    assert {"level", "event", "timestamp"} <= set.intersection(*map(set, found))
    assert not any(line.startswith(("Traceback", "INFO", "ERROR")) for line in lines)


async def nothing_waits(up: Up) -> None:
    """What operators watch says that all was relayed and consumed."""

    async def measured() -> bool:
        lines = dict(line.rsplit(" ", 1) for line in up.get("/metrics/").text.splitlines())
        consumed = 'jinguo_consumer_lag_events{group="notifier.messages",source="pledges"}'
        return (
            lines.get('jinguo_relay_lag_events{service="pledges"}') == "0.0"
            and lines.get('jinguo_relay_lag_seconds{service="pledges"}') == "0.0"
            and lines.get('jinguo_publish_lag_events{service="pledges"}') == "0.0"
            and lines.get(consumed) == "0.0"
            and float(lines['jinguo_commits_total{service="pledges"}']) >= 1
        )

    await eventually(measured)


async def test_it_runs_small_alone_survives_a_kill_and_stops_with_all_it_started(
    up: Up, tmp_path: Path
) -> None:
    process = up.start()
    await up.ready()
    assert f"{up.url}/notifier/dashboards/pledges/page" in up.log
    family = up.family()
    assert sum(map(megabytes, family)) < MEGABYTES
    campaign = up.post("/pledges/campaigns", a_campaign())
    await nothing_waits(up)
    check_log(up.log)
    check_refusals(up, tmp_path)
    trace = ("trace", f"{campaign['id']}.1.0")
    for command in (("audit",), ("refill", "pledges"), ("keys", "rotate"), trace):
        done = up.tool(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert command[0] != "audit" or "drift 0" in done.stdout

    process.kill()
    process.wait()
    up.start()
    await up.ready()
    assert campaign["id"] in [c["id"] for c in up.get("/pledges/campaigns").json()["items"]]

    family = up.family()
    up.processes[-1].send_signal(signal.SIGINT)
    assert up.processes[-1].wait(30) == 0

    async def gone() -> bool:
        return not any(map(runs, family))

    await eventually(gone)
