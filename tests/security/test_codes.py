"""One-time codes: nobody is flooded with them, guesses one, or is kept from theirs; their cost is bounded."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import altcha
import httpx
import pytest
from prometheus_client import REGISTRY

from shared.contracts.pledges import PledgeCodeIssued
from shared.http.identity import Role
from shared.model.clock import moved
from tests.kit.issuing import Issuing
from tests.kit.problems import problem
from tests.services.pledges.town import COMMUNITY, KEPT, Town, a_form, running_town, until_next

MINUTES, DAY = timedelta(minutes=10), timedelta(days=1)
STRANGER = {"Signing-Key": "of-a-stranger-who-types-phones"}
NAMES = [f"王{one}" for one in "一二三四五六七八九十甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉"]


@asynccontextmanager
async def from_address(town: Town, address: str, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without an account, from some address, who keeps cookies as browsers do."""
    transport = httpx.ASGITransport(app=town.app, client=(address, 1))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://town/pledges", headers=STRANGER | headers
    ) as http:
        yield http


def solved(challenge: dict[str, Any]) -> dict[str, str]:
    """The header that a browser sends after some work."""
    found = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(found)
    assert solution
    return {"Altcha": altcha.Payload(found, solution).to_base64()}


def demanded(brake: str) -> float:
    return REGISTRY.get_sample_value("jinguo_proofs_demanded_total", {"brake": brake}) or 0


# ── one phone ────────────────────────────────────────────────────────────────────────────────────────


async def test_erasing_a_form_takes_back_no_count_of_its_phone(town: Town) -> None:
    campaign, phone = await town.campaign(), "13900001001"
    with moved(until_next(DAY)):
        async with from_address(town, "192.0.2.1") as stranger:
            statuses = []
            for name in NAMES[:12]:
                form = a_form(phone=phone, name=name)
                answer = await stranger.post(f"/campaigns/{campaign}/pledges", json=form)
                statuses.append(answer.status_code)
                if answer.is_success:
                    erased = await stranger.post(f"/signings/{answer.json()['id']}/erase")
                    assert erased.status_code == 200
        assert statuses == [201] * 5 + [429] * 7
        assert len(await town.events(PledgeCodeIssued.type)) == 5


async def test_other_codes_count_like_those_of_new_forms(town: Town) -> None:
    campaign, phone = await town.campaign(), "13900001002"
    sent = 0
    with moved(until_next(DAY)):
        async with from_address(town, "192.0.2.1") as stranger:
            for n, name in enumerate(NAMES[:20]):
                with moved(timedelta(minutes=4 * n)):
                    form = a_form(phone=phone, name=name)
                    answer = await stranger.post(f"/campaigns/{campaign}/pledges", json=form)
                    if answer.is_success:
                        with moved(timedelta(minutes=2)):
                            path = f"/signings/{answer.json()['id']}/code"
                            sent += 1 + (await stranger.post(path)).is_success
    assert sent == 15  # of one address, in a day


async def test_one_stranger_cannot_use_up_what_a_phone_may_get(town: Town) -> None:
    campaign, phone = await town.campaign(), "13900001003"
    path = f"/campaigns/{campaign}/pledges"
    with moved(until_next(DAY)):
        async with from_address(town, "192.0.2.1") as stranger, from_address(town, "192.0.2.2") as owner:
            for n in range(12):
                with moved(n * MINUTES):
                    tries = [stranger.post(path, json=a_form(phone=phone, name=name)) for name in NAMES[:6]]
                    await asyncio.gather(*tries)
                    if n in (0, 11):
                        signed = await owner.post(path, json=a_form(phone=phone, name=NAMES[20 + n % 2]))
                        assert signed.status_code == 201, n
        sent = Counter(event["signer"] for event in await town.events(PledgeCodeIssued.type))
        assert sent.total() == 15 + 2


async def test_all_strangers_together_send_a_phone_twenty_codes_a_day_and_its_account_gets_more(
    town: Town,
) -> None:
    campaign, phone = await town.campaign(), "13900001004"
    path, sent = f"/campaigns/{campaign}/pledges", 0
    with moved(until_next(DAY)):
        for n in range(5):
            async with from_address(town, f"192.0.2.{n}") as stranger:
                with moved(n * MINUTES):
                    for name in NAMES[:5]:
                        sent += (await stranger.post(path, json=a_form(phone=phone, name=name))).is_success
        assert sent == 20
        await town.done("/listed-phones", {"phone": phone, "kind": "allow", "reason": "shared-phone"})
        account = town.issuer.bearer(Role.RESIDENT, None, phone=f"+86{phone}")
        async with from_address(town, "192.0.2.9", **account) as owner:
            assert (await owner.post(path, json=a_form(phone=phone, name="李红"))).status_code == 201


async def test_a_phone_on_the_allow_list_has_its_limits_for_whoever_types_it(town: Town) -> None:
    campaign, phone = await town.campaign(), "13900001005"
    path = f"/campaigns/{campaign}/pledges"
    await town.done("/listed-phones", {"phone": phone, "kind": "allow", "reason": "community-worker"})
    of_another = town.issuer.bearer(Role.RESIDENT, None, phone="+8613900009999")
    elsewhere = town.issuer.bearer(Role.COUNTY_OFFICER, "衢江")
    hers = town.issuer.bearer(Role.RESIDENT, None, phone=f"+86{phone}")
    here = town.issuer.bearer(Role.COUNTY_OFFICER, "柯城")
    with moved(until_next(DAY)):
        got = {}
        for name, headers in {"nobody": {}, "another": of_another, "elsewhere": elsewhere}.items():
            async with from_address(town, "192.0.2.1", **headers) as http:
                tries = [await http.post(path, json=a_form(phone=phone)) for _ in range(7)]
                got[name] = sum(answer.is_success for answer in tries)
        assert got == {"nobody": 5, "another": 3, "elsewhere": 0}  # eight in ten minutes, whoever asks
        for headers in (hers, here):
            async with from_address(town, "192.0.2.1", **headers) as http:
                tries = [await http.post(path, json=a_form(phone=phone)) for _ in range(9)]
                assert [answer.status_code for answer in tries] == [201] * 9
    assert COMMUNITY.startswith("330802")


# ── one address ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def guarded(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[Town]:
    """A town that counts by address, with small numbers; its officer's account is counted too."""
    limits = {"public_requests_per_minute": 40, "public_writes_per_minute": 12, "public_codes_per_minute": 10}
    brake = {"codes_per_minute": 60, "proof_of_work_tries": 10}
    async with running_town(mongodb_uri, tmp_path, issuer, **limits, **brake) as running:
        with moved(until_next(DAY)):
            yield running


async def test_one_address_sends_few_codes_to_strangers_unless_it_works_for_each(guarded: Town) -> None:
    path = f"/campaigns/{await guarded.campaign()}/pledges"
    before = demanded("address")
    async with from_address(guarded, "192.0.2.1") as stranger:
        answers = await asyncio.gather(*(stranger.post(path, json=a_form()) for _ in range(50)))
        assert Counter(answer.status_code for answer in answers) == {201: 10, 428: 40}
        assert demanded("address") == before + 40
        refused = answers[-1]
        assert (problem(refused), refused.json()["header"]) == ("proof-needed", "Altcha")
        paid = solved(refused.json()["challenge"])
        assert (await stranger.post(path, json=a_form(), headers=paid)).status_code == 201
        again = await stranger.post(path, json=a_form(), headers=paid)
        assert (again.status_code, again.json()["reason"]) == (428, "used")
        for forged in ("e30=", "x", "9" * 5000, forged_by_another()):
            answer = await stranger.post(path, json=a_form(), headers={"Altcha": forged})
            assert (answer.status_code, answer.json()["reason"]) == (428, "invalid")
        asked = (await stranger.get("/challenge")).json()
        assert (await stranger.post(path, json=a_form(), headers=solved(asked))).status_code == 201
    with moved(timedelta(minutes=1)):  # the next minute is free again, the hour not for ever
        async with from_address(guarded, "192.0.2.1") as stranger:
            assert (await stranger.post(path, json=a_form())).status_code == 201
    sent = 0
    for minute in range(2, 7):
        with moved(timedelta(minutes=minute)):
            async with from_address(guarded, "192.0.2.1") as stranger:
                answers = await asyncio.gather(*(stranger.post(path, json=a_form()) for _ in range(11)))
                sent += sum(answer.is_success for answer in answers)
    assert sent == 40 - 10 - 2 - 1


def forged_by_another() -> str:
    """A puzzle that somebody made for themselves, and solved."""
    challenge = altcha.create_challenge("PBKDF2/SHA-256", 1, counter=1, hmac_secret="a", hmac_key_secret="b")
    solution = altcha.solve_challenge(challenge)
    assert solution
    return altcha.Payload(challenge, solution).to_base64()


async def test_the_networks_of_ipv6_are_counted_by_64_56_and_48_bits(guarded: Town) -> None:
    path = f"/campaigns/{await guarded.campaign()}/pledges"
    guarded.host.allowances.limit(reading=40, writing=12, costly=3)

    async def sent(address: str) -> bool:
        async with from_address(guarded, address) as stranger:
            return (await stranger.post(path, json=a_form())).is_success

    one_line = [await sent(f"2001:db8:0:0::{n:x}") for n in range(1, 6)]
    assert one_line.count(True) == 3
    one_56 = [await sent(f"2001:db8:0:{n:x}::1") for n in range(1, 13)]
    assert one_56.count(True) == 4 * 3 - 3
    assert await sent("2001:db8:0:100::1") and await sent("2001:db8:1::1")


async def test_above_a_rate_of_the_city_all_but_accounts_pay_with_work(guarded: Town) -> None:
    path = f"/campaigns/{await guarded.campaign()}/pledges"
    before = demanded("campaign") + demanded("city")
    for n in range(6):
        async with from_address(guarded, f"192.0.2.{n}") as stranger:
            for _ in range(10):
                assert (await stranger.post(path, json=a_form())).status_code == 201
    async with from_address(guarded, "198.51.100.1") as stranger:
        answer = await stranger.post(path, json=a_form())
        assert (answer.status_code, answer.json()["reason"]) == (428, "campaign")
        assert demanded("campaign") + demanded("city") == before + 1
        paid = solved(answer.json()["challenge"])
        assert (await stranger.post(path, json=a_form(), headers=paid)).status_code == 201
    elsewhere = f"/campaigns/{await guarded.campaign()}/pledges"
    async with from_address(guarded, "198.51.100.2") as stranger:
        answer = await stranger.post(elsewhere, json=a_form())
        assert (answer.status_code, answer.json()["reason"]) == (428, "city")
    resident = guarded.issuer.bearer(Role.RESIDENT, None, phone="+8613900007777")
    async with from_address(guarded, "198.51.100.3", **resident) as known:
        assert (await known.post(path, json=a_form())).status_code == 201


async def test_settings_may_ask_everybody_for_a_proof(
    mongodb_uri: str, tmp_path: Path, issuer: Issuing
) -> None:
    always = {"proof_of_work": True, "proof_of_work_tries": 10}
    async with running_town(mongodb_uri, tmp_path, issuer, **always) as town:
        path = f"/campaigns/{await town.campaign()}/pledges"
        async with from_address(town, "192.0.2.1") as stranger:
            answer = await stranger.post(path, json=a_form())
            assert (answer.status_code, answer.json()["reason"]) == (428, "always")
            paid = solved(answer.json()["challenge"])
            assert (await stranger.post(path, json=a_form(), headers=paid)).status_code == 201
        assert (await town.post(path, a_form())).status_code == 201  # an account


async def test_a_counted_household_that_signs_again_costs_no_more_than_any_other(town: Town) -> None:
    campaign, phone = await town.campaign(), "13900001006"
    await town.counted(campaign, phone=phone, door="3幢201室")
    with moved(until_next(DAY)):
        path = f"/campaigns/{campaign}/pledges"
        tries = [await town.post(path, a_form(phone=phone, door="3幢201室")) for _ in range(8)]
    assert [answer.status_code for answer in tries] == [201] * 5 + [429] * 3
    assert KEPT
