"""Made-up households of real communities sign, and prove their phones."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from shared.city.divisions import communities, counties, county_of
from shared.local.api import Api
from shared.local.demo import Did, Part, Row, a_name, work_through
from shared.local.people import Person
from shared.model.plurals import plural
from shared.model.roles import Role

SIGNING_KEY = "chosen-by-a-household-of-the-demo"
OFFICER = Person(role=Role.CITY_OFFICER, org="city")
"""Who opens the campaign: a made-up person of the local issuer."""
APP = Person(role=Role.SYSTEM, subject="demo")
"""The app through which the households sign: one address may not ask so often."""
ALL = "all"
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
    form = {
        "community": community,
        "name": a_name(chance, chance.choice((1, 2))),
        "role": chance.choices(ROLES, (6, 2, 2))[0],
        "phone": f"199{phone:08d}",
        "door": f"{chance.randrange(1, 60)}幢{phone % 100000}室",
        "members": chance.randrange(1, 7),
        "text_version": 1,
        "consent": True,
    }
    return Household(community, form, key)


async def sign(api: Api, count: int, seed: int) -> Did:
    """`count` households sign in a new campaign."""
    api.client.headers = await api.token(OFFICER)
    campaign = await _campaign(api, seed)
    api.client.headers = await api.token(APP) | {"Signing-Key": SIGNING_KEY}
    before = await _signed(api)
    forms = households(count, seed, campaign)
    began = asyncio.get_running_loop().time()
    await work_through("签署 signing", forms, partial(_sign_one, api, campaign))
    seconds = asyncio.get_running_loop().time() - began

    async def gained() -> Counter[str]:
        now = await _signed(api)
        return Counter({place: now[place] - before[place] for place in now})

    signed = Counter(county_of(household.community) for household in forms)
    return Did(
        heads=("县（市、区）", "签署 signed"),
        rows=[
            *(Row(county.name, signed[county.code], county.code) for county in counties()),
            Row("合计", count, ALL),
        ],
        board=gained,
        note=f"{plural(count, 'household')} in {seconds:.1f} s; each signs and proves its phone",
    )


async def _signed(api: Api) -> Counter[str]:
    """What the board says was signed, by county and in all."""
    shown = await api.board("pledges")
    by_county = {county["code"]: county["signed"] for county in shown["by_county"]}
    return Counter(by_county | {ALL: shown["totals"]["signed"]})


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


async def _sign_one(api: Api, campaign: str, household: Household) -> None:
    pledge = await api.post(f"/pledges/campaigns/{campaign}/pledges", household.form, household.key)
    code = await api.code_for(pledge_id=pledge["id"])
    await api.post(f"/pledges/signings/{pledge['id']}/verify", {"code": code}, f"{household.key}-verify")


part = Part("households", 2000, sign)
