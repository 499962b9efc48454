"""Every route says who may call it, and keeps everybody else out."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from jinguo.access import document, is_current, routes
from jinguo.services import SERVICES
from shared.host import Host
from shared.http.access import anyone, may, rule_of
from shared.http.identity import Role
from shared.model.clock import moved, now
from shared.store.rates import MINUTE
from tests.kit.hosts import over_asgi
from tests.kit.issuing import Issuing
from tests.kit.settings import settings_of

ENDLESS = {f"/notifier/dashboards/{board}/stream" for board in ("pledges", "referrals")}
ROUTES = [route for route in routes() if route[1] not in ENDLESS]


@pytest.fixture
async def http(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[httpx.AsyncClient]:
    """All services over ASGI. Nothing runs beside them: whoever is kept out changes nothing."""
    host = Host(SERVICES, settings_of(mongodb_uri, tmp_path, issuer), alone=True)
    await host.vault.open()
    async with over_asgi(host) as client:
        yield client
    await host.stop()


def filled(path: str) -> str:
    """The path with parameters that exist as far as types go."""
    known = {"division": "330802", "community": "330802005001", "day": "2020-03-08"}
    return re.sub(r"{(\w+)}", lambda name: known.get(name[1], "x"), path)


def test_every_route_states_who_may_call_it() -> None:
    unsaid = [f"{method} {path}" for method, path, rule in ROUTES if rule is None]
    assert unsaid == []
    rows = [line for line in document().splitlines() if line.startswith(("| GET", "| POST", "| PUT"))]
    assert len(rows) == len(list(routes()))


def test_the_committed_document_says_what_the_routes_say() -> None:
    assert is_current()


def test_a_route_without_a_rule_and_one_with_two_are_found() -> None:
    router = APIRouter()

    @router.get("/open")
    async def unsaid() -> None: ...

    @router.get("/both")
    async def both(_: Any = may(Role.SYSTEM), __: Any = anyone("why")) -> None: ...

    first, second = router.routes
    assert rule_of(first) is None
    with pytest.raises(ValueError, match="2 rules"):
        rule_of(second)


async def test_without_a_token_only_what_is_public_answers(http: httpx.AsyncClient) -> None:
    for method, path, rule in ROUTES:
        answer = await http.request(method, filled(path), json={})
        assert rule
        assert (answer.status_code == 401) == bool(rule.roles), f"{method} {path}: {answer.status_code}"
        if rule.roles:
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "unauthenticated" in answer.text  # as a problem, or as FHIR's OperationOutcome


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_gets_no_further_than_its_rules(
    http: httpx.AsyncClient, issuer: Issuing, role: Role
) -> None:
    headers = issuer.bearer(role, phone="+8613800000001")
    for method, path, rule in ROUTES:
        assert rule
        if rule.roles and role not in rule.roles:
            answer = await http.request(method, filled(path), json={}, headers=headers)
            assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"
            assert "forbidden" in answer.text


async def test_what_is_public_is_limited_by_address_and_by_caller(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    app = http._transport.app  # type: ignore[attr-defined]
    services = [route.app for route in app.routes if hasattr(getattr(route, "app", None), "state")]
    for service in services:
        if hasattr(service.state, "allowances"):
            service.state.allowances.limit(reading=3, writing=3, costly=3)
    with moved(timedelta(seconds=MINUTE - now().timestamp() % MINUTE)):  # a minute begins
        path = "/pledges/campaigns"
        # One without a cookie, which is the address's; then those of the device.
        assert [(await http.get(path)).status_code for _ in range(5)] == [200, 200, 200, 200, 429]
        mine = issuer.bearer(Role.RESIDENT, None)
        assert [(await http.get(path, headers=mine)).status_code for _ in range(4)] == [200, 200, 200, 429]
        others = issuer.bearer(Role.SYSTEM, None, subject="another-system")
        assert [(await http.get(path, headers=others)).status_code for _ in range(5)] == [200] * 5
        refused = await http.get(path)
        assert refused.json()["type"].endswith("/too-many-requests")
        households = [f"2001:db8:0:{house}::{machine}" for house in (1, 2) for machine in range(1, 5)]
        addresses = [*households, "::ffff:192.0.2.1", "::ffff:192.0.2.2"]  # of IPv6, and IPv4 written like it
        came = []
        for address in addresses:
            transport = httpx.ASGITransport(app=app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://town") as client:
                came.append((await client.get(path)).status_code)
        assert came == [200, 200, 200, 429, 200, 200, 200, 429, 200, 200]
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
