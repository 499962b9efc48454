"""The security log: every refusal, use of a role, opened or exported record, deleted key and start is a line
that names nobody; and alarms are made of metrics that there are.
"""

import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from prometheus_client import REGISTRY

from jinguo.access import routes
from shared import security_log
from shared.host import Host
from shared.http.identity import ProductionRefused, Role
from shared.security_log import Kind
from tests.kit.issuing import Issuing
from tests.kit.running import a_request
from tests.kit.settings import settings_of
from tests.security.whole_city import City, running_city

RULES = Path("deploy/prometheus/security.rules.yml")
NAME, PHONE, SUBJECT, WORDS = "金丝雀桂花", "13857009876", "canary-of-the-account", "canary-clinical-word"
CANARIES = (NAME, PHONE, PHONE[-8:], SUBJECT, WORDS)


class Lines(logging.Handler):
    """What is written while a test looks."""

    def __init__(self) -> None:
        super().__init__()
        self.raw: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.raw.append(record.getMessage())

    def of(self, kind: Kind) -> list[dict[str, Any]]:
        return [line for line in map(orjson.loads, self.raw) if line["kind"] == kind]


@pytest.fixture
def lines() -> Iterator[Lines]:
    logger, seen = logging.getLogger(security_log.NAME), Lines()
    level = logger.level
    logger.addHandler(seen)
    logger.setLevel(logging.INFO)
    yield seen
    logger.removeHandler(seen)
    logger.setLevel(level)


@pytest.fixture
async def city(mongodb_uri: str, tmp_path: Path, issuer: Issuing, lines: Lines) -> AsyncIterator[City]:
    """All services; `lines` first, so that the start is seen."""
    shown = {"public_requests_per_minute": 3, "show_outgoing_messages": True}
    async with running_city(mongodb_uri, tmp_path, issuer, **shown) as city:
        yield city


async def test_all_that_matters_is_a_line_with_a_hash_a_template_and_a_reason_and_nothing_personal(
    city: City, issuer: Issuing, lines: Lines
) -> None:
    http = city.http
    hers = issuer.bearer(Role.RESIDENT, None, subject=SUBJECT, phone=f"+86{PHONE}")
    another = issuer.bearer(Role.CLINICIAN, None, subject="c-2", department="head-neck-thyroid")
    asked = await http.post(
        "/referrals/referrals", json=a_request(name=NAME, phone=PHONE, summary=WORDS), headers=hers
    )
    referral = asked.json()["id"]
    path = f"/referrals/referrals/{referral}"
    coordinator = issuer.bearer(Role.COORDINATOR, None)
    triaged = await http.post(f"{path}/triage", json={"urgency": "routine"}, headers=coordinator)
    assert triaged.is_success

    written = a_request(name=NAME, phone=PHONE, summary=WORDS, department="head-neck-thyroid")
    by_phone = (await http.post("/referrals/referrals", json=written, headers=coordinator)).json()["id"]
    claim = await http.post(f"/referrals/referrals/{by_phone}/claim", headers=coordinator)
    await city.consumed()
    query = {"claim_id": claim.json()["id"]}
    [sent] = (await http.get("/notifier/outgoing.json", params=query, headers=coordinator)).json()
    confirm = "/referrals/claims/confirm"
    assert (await http.post(confirm, json={"code": sent["code"]}, headers=hers)).is_success

    assert (await http.get(f"{path}?name={NAME}", headers={"X-Phone": PHONE})).status_code == 401
    broken = {"Authorization": f"Bearer {PHONE}.{WORDS}.x"}
    assert (await http.get(path, headers=broken)).status_code == 401
    mine = f"/referrals/emergencies/{PHONE}/review"
    assert (await http.post(mine, json={"justified": True}, headers=hers)).status_code == 403
    opened = await http.post(
        f"{path}/break-glass", json={"reason": f"{NAME} {WORDS} {PHONE}"}, headers=another
    )
    assert opened.status_code == 201
    assert (await http.get(f"{path}/fhir", headers=hers)).status_code == 200
    over = [(await http.get(f"/pledges/teams/{PHONE}")).status_code for _ in range(5)]
    assert over == [404, 404, 404, 404, 429]  # one of the address, then those of the device
    assert (await http.post("/referrals/me/erase", headers=hers)).is_success

    assert [line["reason"] for line in lines.of(Kind.PRODUCTION)] == ["off"]
    refused = lines.of(Kind.UNAUTHENTICATED)
    assert [line["reason"] for line in refused] == ["missing", "malformed"]
    assert {line["route"] for line in refused} == {"GET /referrals/referrals/{referral_id}"}
    [forbidden] = lines.of(Kind.FORBIDDEN)
    assert forbidden["route"] == "POST /referrals/emergencies/{grant_id}/review"
    [many] = lines.of(Kind.TOO_MANY_REQUESTS)
    assert (many["route"], many["status"]) == ("GET /pledges/teams/{team_id}", 429)
    assert many["caller"].startswith("address:")
    [glass], [export] = map(lines.of, (Kind.BREAK_GLASS, Kind.EXPORT))
    erased, _ = lines.of(Kind.ERASURE)  # of each referral
    assert len(lines.of(Kind.KEY_DELETED)) == 2
    assert [glass["role"], erased["reason"]] == [Role.CLINICIAN, "self"]
    assert export["caller"] == erased["caller"] == forbidden["caller"] != glass["caller"]
    assert {key["trace_id"] for key in lines.of(Kind.KEY_DELETED)} == {erased["trace_id"]}
    assert [line["caller"] for line in lines.of(Kind.CLAIMED)] == [erased["caller"]]
    used = [(line["role"], line["route"]) for line in lines.of(Kind.ROLE_USED)]
    assert used == [
        (Role.COORDINATOR, "POST /referrals/referrals/{referral_id}/triage"),
        (Role.COORDINATOR, "POST /referrals/referrals"),
        (Role.COORDINATOR, "POST /referrals/referrals/{referral_id}/claim"),
        (Role.CLINICIAN, "POST /referrals/referrals/{referral_id}/break-glass"),
    ]
    assert {orjson.loads(raw)["kind"] for raw in lines.raw} == set(Kind)
    secrets = (*CANARIES, referral, by_phone, sent["code"])
    for raw in lines.raw:
        assert "\n" not in raw
        assert not [word for word in secrets if word in raw], raw


async def test_every_route_of_every_service_writes_down_whom_it_refuses(
    http: httpx.AsyncClient, issuer: Issuing, lines: Lines
) -> None:
    tried, refusing = set(), set()
    for method, path, rule in routes():
        if rule is None or not rule.roles:
            continue
        real = re.sub(r"\{\w+\}", PHONE, path)
        assert (await http.request(method, real)).status_code == 401
        tried.add(f"{method} {path}")
        for role in sorted(set(Role) - rule.roles)[:1]:
            headers = issuer.bearer(role, None, subject=SUBJECT)
            assert (await http.request(method, real, headers=headers)).status_code == 403
            refusing.add(f"{method} {path}")
    assert {line["route"] for line in lines.of(Kind.UNAUTHENTICATED)} == tried
    assert {line["route"] for line in lines.of(Kind.FORBIDDEN)} == refusing
    assert {route.rpartition("/")[2] for route in tried - refusing} == {"work"}  # everybody has their own
    assert not [raw for raw in lines.raw if PHONE in raw or SUBJECT in raw]


async def test_production_that_is_refused_is_a_line_too(
    mongodb_uri: str, tmp_path: Path, issuer: Issuing, lines: Lines
) -> None:
    settings = settings_of(mongodb_uri, tmp_path, issuer, production=True)
    host = Host([], settings)
    with pytest.raises(ProductionRefused):
        await host.start()
    assert [line["reason"] for line in lines.of(Kind.PRODUCTION)] == ["on", "refused"]
    await host.stop()


def test_every_alarm_is_made_of_a_metric_that_there_is_and_no_kind_is_misspelt() -> None:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    known = {sample.name for metric in REGISTRY.collect() for sample in metric.samples}
    watched = set()
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"]
        metrics = set(re.findall(r"\bjinguo_\w+", rule["expr"]))
        assert metrics and metrics <= known, rule["alert"]
        watched |= set(re.findall(r'kind="([\w-]+)"', rule["expr"]))
    assert watched == set(Kind) - {Kind.PRODUCTION}  # which has a gauge of its own
