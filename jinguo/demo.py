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
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from jinguo.client import Client
from jinguo.issuer import PATH, NoToken, Person
from shared.divisions import communities, counties, county_of
from shared.plurals import plural
from shared.roles import Role

CLIENTS = 32
SIGNING_KEY = "chosen-by-a-household-of-the-demo"
OFFICER = Person(role=Role.CITY_OFFICER, org="city")
"""Who opens the campaign: a made-up person of the local issuer."""
APP = Person(role=Role.SYSTEM, subject="demo")
"""The app through which the households sign: one address may not ask so often."""
PATIENCE = 60
"""Seconds that one request is tried again, and that the dashboard may take to catch up."""
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗郑梁谢宋唐许邓冯韩曹"
GIVEN = "春兰桂英秀珍玉华丽芳敏静婷雪梅红霞燕萍慧洁琴娟艳莉佳欣怡悦宁"
ROLES = ("hostess", "party-member", "member")


class Household(NamedTuple):
    """A form to hand in."""

    community: str
    form: dict[str, Any]
    key: str


class Refused(RuntimeError):
    """The platform said no."""


class NotYet(Exception):
    """Something is still on its way: ask again."""


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


class Api:
    """The platform over HTTP. A request that fails for a passing reason is repeated with its key."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._usual = 0.1
        """Seconds that a code usually takes to be sent."""

    async def token(self, person: Person) -> dict[str, str]:
        """The header of a made-up person, from the local issuer. Raises NoToken where there is none."""
        form = {"grant_type": "client_credentials"} | person.model_dump(exclude_none=True)
        try:
            given = await self._again("POST", f"{PATH}/token", form=form)
        except Refused as error:
            raise NoToken(f"本地签发服务未给出令牌 / the local issuer gave no token: {error}") from None
        return {"Authorization": f"Bearer {given['access_token']}"}

    async def get(self, path: str, headers: dict[str, str] | None = None, **params: str) -> Any:
        """The JSON answer of a GET; `headers` say in whose name."""
        return await self._again("GET", path, params=params, headers=headers)

    async def post(self, path: str, body: Any, key: str, headers: dict[str, str] | None = None) -> Any:
        """The JSON answer of a POST that takes effect once, however often it is sent."""
        return await self._again("POST", path, json=body, headers={"Idempotency-Key": key} | (headers or {}))

    async def put(self, path: str, body: Any, headers: dict[str, str]) -> Any:
        """The JSON answer of a PUT."""
        return await self._again("PUT", path, json=body, headers=headers)

    async def _again(self, method: str, path: str, **options: Any) -> Any:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((ConnectionError, TimeoutError, NotYet)),
            stop=stop_after_delay(PATIENCE),
            wait=wait_random_exponential(0.05, max=2),
            reraise=True,
        ):
            with attempt:
                answer = await self.client.request(method, path, **options)
                if answer.status in (502, 503, 504):
                    raise NotYet(f"{method} {path}: {answer.status}")
                if answer.status >= 400:
                    raise Refused(f"{method} {path}: {answer.status} {answer.text}")
                return answer.json()
        raise AssertionError("unreachable")

    async def code_for(self, pledge_id: str) -> str:
        """The one-time code that the notifier sent, from its local page. Raises NotYet after PATIENCE."""
        clock = asyncio.get_running_loop().time
        began = clock()
        await asyncio.sleep(self._usual)  # to ask before it can be there costs both sides
        while not (sent := await self.get("/notifier/outgoing.json", pledge_id=pledge_id)):
            if clock() - began > PATIENCE:
                raise NotYet(f"no message for {pledge_id} yet")
            await asyncio.sleep(random.uniform(0.5, 1) * max(0.03, self._usual / 2))
        self._usual += ((clock() - began) * 0.9 - self._usual) / 20
        return str(sent[0]["code"])

    async def by_county(self) -> Counter[str]:
        """What the dashboard says was signed, by county code."""
        shown = await self.get("/notifier/dashboards/pledges")
        return Counter({county["code"]: county["signed"] for county in shown["by_county"]})


async def run(url: str, count: int, seed: int, console: Console, referrals: int = 0) -> bool:
    """Sign `count` households, refer `referrals` patients. False when a dashboard differs."""
    from jinguo import demo_referrals  # which stands on what is here

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
