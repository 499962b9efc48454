"""Households sign through the public API, and everything that follows from it agrees."""

import io
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from rich.console import Console

from jinguo import demo
from jinguo.connection import Platform
from jinguo.operations import audit, replay, settled, trace
from services.pledges.demo import APP, SIGNING_KEY, households
from shared.city.divisions import communities, county_of
from shared.contracts.pledges import ChainMilestoneReached, PledgeSigned
from shared.http.identity import Role
from shared.local.api import Api
from shared.local.client import Client
from shared.model.events import decode
from shared.mongo.driver import connect
from shared.settings import Settings
from shared.telemetry import trace_id
from tests.kit.running import SIGNING, a_form, bearer, flow_settings, serving
from tests.kit.waiting import eventually

HOUSEHOLDS = 40
SEED = 7
GROUP = "notifier.pledges-board"
SHOWN = ("totals", "by_county", "by_day", "cells")
"""What the dashboard says, without which reading of the database says it."""


class Flow(NamedTuple):
    """A platform that serves, on either log."""

    url: str
    settings: Settings

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[Platform]:
        """What an operator's command would work through."""
        client = connect(str(self.settings.mongodb_uri))
        try:
            yield Platform(client, self.settings)
        finally:
            client.close()

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            base_url=self.url, timeout=30, headers=bearer(self.url) | SIGNING
        ) as http:
            yield http

    async def dashboard(self) -> dict[str, Any]:
        async with self.http() as http:
            board = (await http.get("/notifier/dashboards/pledges")).raise_for_status().json()
        return {name: board[name] for name in SHOWN}

    async def check_audit(self) -> None:
        async with self.platform() as platform:
            assert await settled(platform, 60)
            drift, compared = await audit(platform)
        assert drift == []
        assert compared > 0


@pytest.fixture(params=["embedded", "kafka"])
def flow(request: pytest.FixtureRequest, mongodb_uri: str, tmp_path: Path) -> Iterator[Flow]:
    kafka = request.getfixturevalue("kafka").bootstrap if request.param == "kafka" else None
    settings = flow_settings(mongodb_uri, tmp_path, kafka_bootstrap_servers=kafka)
    with serving(settings) as url:
        yield Flow(url, settings)


async def test_what_households_sign_is_what_everybody_sees(flow: Flow) -> None:
    assert await demo.run(flow.url, {"households": HOUSEHOLDS}, SEED, Console(file=io.StringIO()))
    await flow.check_audit()
    await check_inboxes(flow)
    await check_replay(flow)
    await check_withdrawal(flow)
    await check_trace(flow)


async def check_trace(flow: Flow) -> None:
    """The context of a request goes into its event, and on into what the event led to."""
    asked = "a1" * 16
    carried = {"traceparent": f"00-{asked}-{'b2' * 8}-01"}
    async with flow.platform() as platform, flow.http() as http:
        (campaign,) = (await http.get("/pledges/campaigns")).raise_for_status().json()["items"]
        where = (
            await http.get(f"/pledges/campaigns/{campaign['id']}/standings?level=community&limit=100")
        ).json()
        form = a_form(77) | {"community": fresh_community(where)}
        signed = await http.post(f"/pledges/campaigns/{campaign['id']}/pledges", json=form)
        pledge = signed.raise_for_status().json()["id"]

        async def sent() -> Any:
            return (await http.get("/notifier/outgoing.json", params={"pledge_id": pledge})).json()

        code = (await eventually(sent))[0]["code"]
        path = f"/pledges/signings/{pledge}/verify"
        verified = await http.post(path, json={"code": code}, headers=carried)
        assert verified.headers["traceparent"].split("-")[1] == asked
        assert await settled(platform, 60)
        found = await trace(platform, f"{pledge}.2.0")
        assert found and found.trace_id == asked
        assert [(e.type, trace_id(e.traceparent)) for e in found.effects] == [
            (ChainMilestoneReached.type, asked)
        ]


def fresh_community(standings: Any) -> str:
    """A community where nobody has signed."""
    taken = str(standings)
    return next(place.code for place in communities() if place.code not in taken)


async def check_inboxes(flow: Flow) -> None:
    """Every signer was told once, and an event's trace names those who were to hear of it."""
    async with flow.platform() as platform, flow.http() as http:
        archived = await platform.archives["pledges"].read(0, 10_000)
        signed = [event for event in map(decode, archived) if isinstance(event, PledgeSigned)]
        assert len(signed) == len({event.pledge_id for event in signed}) == HOUSEHOLDS
        (campaign,) = (await http.get("/pledges/campaigns")).raise_for_status().json()["items"]
        phones = {h.form["phone"] for h in households(HOUSEHOLDS, SEED, campaign["id"])}
        for phone in phones:
            resident = bearer(flow.url, Role.RESIDENT, None, phone=f"+86{phone}")
            (person,) = (await http.get("/notifier/inboxes", headers=resident)).raise_for_status().json()
            answer = await http.get(f"/notifier/inbox/{person}", headers=resident)
            inbox = answer.raise_for_status().json()
            kinds = Counter(message["kind"] for message in inbox["items"])
            assert kinds["pledge.signed"] == 1, kinds
        found = await trace(platform, signed[0].envelope.id)
        assert found and found.event == signed[0].envelope and found.trace_id
        concerned = [g for g, runtime in platform.runtimes.items() if "pledges" in runtime.consumer.sources]
        assert {step.group: step.state for step in found.steps} == dict.fromkeys(concerned, "consumed")


async def check_replay(flow: Flow) -> None:
    """A dashboard rebuilt from the archive is the same dashboard."""
    before = await flow.dashboard()
    async with flow.platform() as platform:
        handled = [count async for count in replay(platform, GROUP)]
        assert handled[-1] >= HOUSEHOLDS
        generation = await platform.stores["notifier"].database["generations"].find_one({"_id": GROUP})
        assert generation and generation["generation"] == 1
    assert await flow.dashboard() == before


async def check_withdrawal(flow: Flow) -> None:
    """A household takes its pledge back: its county counts one less, and nobody else does."""
    before = await flow.dashboard()
    with closing(Client(flow.url, 4)) as client:
        api = Api(client)
        client.headers = await api.token(APP) | {"Signing-Key": SIGNING_KEY}
        (campaign,) = (await api.get("/pledges/campaigns"))["items"]
        household = households(HOUSEHOLDS, SEED, campaign["id"])[0]
        path = f"/pledges/campaigns/{campaign['id']}/pledges"
        pledge = await api.post(path, household.form, household.key)  # answered once more, not signed again
        hers = bearer(flow.url, Role.RESIDENT, None, phone=f"+86{household.form['phone']}")
        path = f"/pledges/signings/{pledge['id']}/withdraw"
        await api.post(path, {"reason": "moved"}, "withdraw", headers=hers)
    await flow.check_audit()
    after = await flow.dashboard()
    expected = {county["code"]: county["counted"] for county in before["by_county"]}
    expected[county_of(household.community)] -= 1
    assert {county["code"]: county["counted"] for county in after["by_county"]} == expected
    assert after["totals"]["signed"] == HOUSEHOLDS
    assert after["totals"]["withdrawn"] == 1
