"""Many people behind one address are not locked out; one of them cannot do what all may."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import altcha
import httpx
import pytest

from shared.http import devices
from shared.model.clock import moved
from tests.kit.issuing import Issuing
from tests.services.pledges.town import Town, a_form, running_town, until_next

HALL, LISTED = "192.0.2.1", "203.0.113.7"
HOUSEHOLDS, AT_ONCE = 330, 12
KEY = {"Signing-Key": "of-a-household-in-the-hall-1"}


@pytest.fixture
async def town(
    mongodb_uri: str, tmp_path: Path, issuer: Issuing, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Town]:
    """With the limits of the settings as they come, and one network that has its own."""
    own = '{"203.0.113.0/24": {"reading": 6000, "writing": 3000, "costly": 1000}}'
    monkeypatch.setenv("JINGUO_NETWORKS", own)
    changes = {"public_requests_per_minute": 600, "proof_of_work_tries": 10}
    async with running_town(mongodb_uri, tmp_path, issuer, **changes) as running:
        with moved(until_next(timedelta(days=1))):
            yield running


def browser(town: Town, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=town.app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://town/pledges", headers=KEY)


async def household(town: Town, campaign: str, address: str) -> tuple[int, bool]:
    """A browser reads what is pledged, hands in the form, and works where it is asked to.

    The last status, and whether it had to work.
    """
    async with browser(town, address) as http:
        assert (await http.get(f"/campaigns/{campaign}")).status_code == 200
        path, form = f"/campaigns/{campaign}/pledges", a_form()
        answer = await http.post(path, json=form)
        if worked := answer.status_code == 428:
            challenge = altcha.Challenge.from_dict(answer.json()["challenge"])
            solution = altcha.solve_challenge(challenge)
            assert solution
            paid = {"Altcha": altcha.Payload(challenge, solution).to_base64()}
            answer = await http.post(path, json=form, headers=paid)
        return answer.status_code, worked


async def all_of(town: Town, address: str, households: int) -> list[tuple[int, bool]]:
    """They come within a minute of the platform's clock, a few at a time."""
    campaign, turn = await town.campaign(), asyncio.Semaphore(AT_ONCE)

    async def one() -> tuple[int, bool]:
        async with turn:
            return await household(town, campaign, address)

    return await asyncio.gather(*(one() for _ in range(households)))


async def test_330_households_in_a_hall_sign_in_one_minute(town: Town) -> None:
    came = await all_of(town, HALL, HOUSEHOLDS)
    assert {status for status, _ in came} == {201}
    assert sum(worked for _, worked in came) == HOUSEHOLDS - 30


async def test_where_the_network_is_listed_none_of_them_has_to_work(town: Town) -> None:
    came = await all_of(town, LISTED, 60)
    assert not any(worked for _, worked in came)


async def test_one_stranger_among_them_is_bounded_with_a_cookie_and_without(town: Town) -> None:
    path = f"/campaigns/{await town.campaign()}"
    town.host.allowances.limit(reading=60, writing=60, costly=30)
    async with browser(town, HALL) as http:
        assert (await http.get(path)).status_code == 200
        with_cookie = [(await http.get(path)).status_code for _ in range(70)]
        assert Counter(with_cookie) == {200: 60, 429: 10}
    async with browser(town, HALL) as neighbour:  # who has the same address still reads
        assert (await neighbour.get(path)).status_code == 200
    transport = httpx.ASGITransport(app=town.app, client=(HALL, 1))
    statuses = Counter[int]()
    async with httpx.AsyncClient(transport=transport, base_url="http://town/pledges") as http:
        for _ in range(70):
            http.cookies.clear()
            statuses[(await http.get(path)).status_code] += 1
    assert statuses == {200: 60 - 2, 429: 12}


async def test_a_cookie_is_ours_or_none(town: Town) -> None:
    path = f"/campaigns/{await town.campaign()}"
    async with browser(town, HALL) as http:
        first = await http.get(path)
        header = first.headers["set-cookie"]
        assert header.startswith(f"{devices.NAME}=") and "HttpOnly" in header and "SameSite=Lax" in header
        assert "set-cookie" not in (await http.get(path)).headers
        value = http.cookies[devices.NAME]
        blind = town.store.vault.blind_index
        assert devices.known_device(blind, value)
        changed = value[:-1] + ("0" if value[-1] != "0" else "1")
        for forged in (None, "", "x", changed, "é.é.é", f"zz.{value}"):
            assert devices.known_device(blind, forged) is None
        with moved(timedelta(days=devices.DAYS + 1)):
            assert devices.known_device(blind, value) is None
            assert "set-cookie" in (await http.get(path)).headers
    assert "Secure" in devices.new_device(blind, secure=True)
