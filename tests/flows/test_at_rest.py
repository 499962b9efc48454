"""Nothing to do costs next to nothing: what the platform asks of MongoDB while nobody is there."""

import asyncio
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from jinguo.connection import Platform
from jinguo.operations import settled
from jinguo.services import SERVICES
from shared.local.mongod import Mongod
from shared.settings import Settings
from tests.kit.running import a_campaign, bearer, serving
from tests.kit.waiting import eventually

SECONDS = 6.0
FOR_ALL, FOR_EACH = 6, 5
"""Commands a second: of the process, and of each service (relay, measures, parked events, deadlines)."""
OWN = ("serverStatus", "hello", "isMaster", "ping", "replSetUpdatePosition", "getMore")
"""What we ask for ourselves here, and what drivers and servers tell each other."""


@pytest.fixture
def mongodb_uri(own_mongod: Mongod) -> str:
    """One that nobody else sends commands to: they are counted."""
    return own_mongod.uri


async def test_at_rest_few_commands_reach_the_database(settings: Settings, platform: Platform) -> None:
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(url), timeout=20) as http:
            assert (await http.post("/pledges/campaigns", json=a_campaign())).status_code == 201
        assert await settled(platform)
        most = FOR_ALL + FOR_EACH * len(SERVICES)

        async def rests() -> bool:
            found = await commands_a_second(platform)
            return found.total() <= most

        await eventually(rests, 30)


async def commands_a_second(platform: Platform) -> Counter[str]:
    """By name, over SECONDS."""

    async def total() -> Counter[str]:
        status: dict[str, Any] = await platform.client.admin.command("serverStatus")
        told = status["metrics"]["commands"]
        return Counter({name: one["total"] for name, one in told.items() if isinstance(one, dict)})

    before, began = await total(), time.monotonic()
    await asyncio.sleep(SECONDS)  # a rate: there is nothing to wait for
    after, seconds = await total(), time.monotonic() - began
    return Counter({n: (after[n] - before[n]) / seconds for n in after if n not in OWN})
