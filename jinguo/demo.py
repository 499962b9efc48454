"""`jinguo demo`: made-up households of real communities sign through the public API, and the dashboard is
held against what was signed."""

import asyncio
import random
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from jinguo import demo_referrals
from jinguo.client import Client
from jinguo.demo_api import CLIENTS, GIVEN, PATIENCE, SURNAMES, Api
from jinguo.issuer import Person
from shared.city.divisions import communities, counties, county_of
from shared.model.plurals import plural
from shared.model.roles import Role

SIGNING_KEY = "chosen-by-a-household-of-the-demo"
OFFICER = Person(role=Role.CITY_OFFICER, org="city")
"""Who opens the campaign: a made-up person of the local issuer."""
APP = Person(role=Role.SYSTEM, subject="demo")
"""The app through which the households sign: one address may not ask so often."""
ROLES = ("hostess", "party-member", "member")


class Household(NamedTuple):
    """A form to hand in."""

    community: str
    form: dict[str, Any]
    key: str


def households(count: int, seed: int, campaign_id: str) -> list[Household]:
    """Made-up households, spread evenly over the real communities in random order."""
    chance = random.Random(f"{seed}:{campaign_id}")
    places = [place.code for place in communities()]
    chance.shuffle(places)
    phones = chance.sample(range(10**8), count)
    return [
        _household(chance, places[i % len(places)], phones[i], f"{campaign_id}-{i}") for i in range(count)
    ]


def _household(chance: random.Random, community: str, phone: int, key: str) -> Household:
    name = chance.choice(SURNAMES) + "".join(chance.sample(GIVEN, chance.choice((1, 2))))
    form = {
        "community": community,
        "name": name,
        "role": chance.choices(ROLES, (6, 2, 2))[0],
        "phone": f"199{phone:08d}",
        "door": f"{chance.randrange(1, 60)}幢{phone % 100000}室",
        "members": chance.randrange(1, 7),
        "text_version": 1,
        "consent": True,
    }
    return Household(community, form, key)


async def run(url: str, count: int, seed: int, console: Console, referrals: int = 0) -> bool:
    """Sign `count` households, refer `referrals` patients. False when a dashboard differs."""
    with closing(Client(url, CLIENTS)) as client:
        await client.request("GET", "/health/live")  # where nobody is, that is told at once
        api = Api(client)
        agree = await _sign(api, count, seed, console)
        if referrals:
            agree = await demo_referrals.run(api, referrals, seed, console) and agree
    verdict = "[green]看板一致 the dashboards agree[/]" if agree else "[red]看板不符 the dashboards differ[/]"
    console.print(verdict)
    return agree


async def _sign(api: Api, count: int, seed: int, console: Console) -> bool:
    api.client.headers = await api.token(OFFICER)
    campaign = await _campaign(api, seed)
    api.client.headers = await api.token(APP) | {"Signing-Key": SIGNING_KEY}
    before = await api.by_county()
    forms = households(count, seed, campaign)
    began = asyncio.get_running_loop().time()
    await _sign_all(api, campaign, forms)
    seconds = asyncio.get_running_loop().time() - began
    expected = Counter(county_of(household.community) for household in forms)
    shown = await _shown(api, before, expected)
    console.print(_table(expected, shown))
    console.print(f"{plural(count, 'household')} in {seconds:.1f} s; each signs and proves its phone")
    return shown == expected


async def _campaign(api: Api, seed: int) -> str:
    today = datetime.now(UTC)
    body = {
        "title": "公筷公勺进家庭（演示）",
        "text": "我家承诺：用餐使用公筷公勺。",
        "opens_at": (today - timedelta(days=1)).isoformat(),
        "closes_at": (today + timedelta(days=30)).isoformat(),
    }
    opened = await api.post("/pledges/campaigns", body, f"demo-{seed}-{today.timestamp()}")
    return str(opened["id"])


async def _sign_all(api: Api, campaign: str, forms: list[Household]) -> None:
    queue = iter(forms)
    with Progress() as progress:
        task = progress.add_task("签署 signing", total=len(forms))

        async def client() -> None:
            for household in queue:
                await _sign_one(api, campaign, household)
                progress.advance(task)

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client())


async def _sign_one(api: Api, campaign: str, household: Household) -> None:
    pledge = await api.post(f"/pledges/campaigns/{campaign}/pledges", household.form, household.key)
    code = await api.code_for(pledge["id"])
    await api.post(f"/pledges/signings/{pledge['id']}/verify", {"code": code}, f"{household.key}-verify")


async def _shown(api: Api, before: Counter[str], expected: Counter[str]) -> Counter[str]:
    """What the dashboard gained, once it has caught up or has had its time."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        now = await api.by_county()
        gained = Counter({code: now[code] - before[code] for code in now if now[code] != before[code]})
        if gained == expected or asyncio.get_running_loop().time() > deadline:
            return gained
        await asyncio.sleep(0.2)


def _table(expected: Counter[str], shown: Counter[str]) -> Table:
    table = Table("县（市、区）", "签署 signed", "看板 dashboard")
    for county in counties():
        table.add_row(county.name, str(expected[county.code]), str(shown[county.code]))
    table.add_row("合计", str(expected.total()), str(shown.total()))
    return table
