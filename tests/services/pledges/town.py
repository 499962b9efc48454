"""What the tests of pledges do again and again, over ASGI and on a real database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from services.pledges.app import service
from shared.city.days import SHANGHAI
from shared.city.divisions import communities
from shared.contracts.pledges import PledgeCodeIssued
from shared.host import Host
from shared.model.clock import now
from shared.store.store import Store
from tests.kit.events import data_of, entries
from tests.kit.hosts import over_asgi, running
from tests.kit.issuing import Issuing
from tests.kit.settings import settings_of

COMMUNITY = communities()[0].code
ELSEWHERE = communities()[1].code
_phones = count(13_800_000_000)
KEPT = {"Signing-Key": "kept-by-the-household-that-signs"}


def a_form(**changes: Any) -> dict[str, Any]:
    """The form of a household nobody used before."""
    number = next(_phones)
    form = {
        "community": COMMUNITY,
        "door": f"{number % 10_000}幢1单元101室",
        "name": "王小明",
        "role": "hostess",
        "phone": str(number),
        "members": 3,
        "text_version": 1,
        "consent": True,
    }
    return {name: value for name, value in (form | changes).items() if value is not None}


def a_name(number: int) -> str:
    """Another name for each number."""
    return f"王{chr(ord('一') + number)}"


def until_next(window: timedelta) -> timedelta:
    """How far to move the clock for the next window of counts to begin; days are those of Shanghai."""
    since = datetime(2000, 1, 1, tzinfo=SHANGHAI)
    return window - (now() - since) % window


@dataclass
class Town:
    """A running service, with what its tests do again and again."""

    host: Host
    http: httpx.AsyncClient
    issuer: Issuing
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def app(self) -> Starlette:
        """For further clients: to build it takes longer than most requests."""
        return self.host.app()

    @property
    def store(self) -> Store:
        return self.host.stores["pledges"]

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(f"/pledges{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def listed(self, path: str, **query: Any) -> list[Any]:
        """The first page of a list."""
        return list((await self.get(path, **query))["items"])

    async def post(
        self, path: str, body: Any = None, key: str | None = None, **headers: str
    ) -> httpx.Response:
        headers |= {"Idempotency-Key": key} if key else {}
        return await self.http.post(f"/pledges{path}", json=body, headers=headers)

    async def done(self, path: str, body: Any = None) -> Any:
        answer = await self.post(path, body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def campaign(self, **changes: Any) -> str:
        body = {
            "title": "公筷公勺进家庭",
            "text": "我家用公筷公勺。",
            "opens_at": (now() - timedelta(days=1)).isoformat(),
            "closes_at": (now() + timedelta(days=60)).isoformat(),
        }
        return str((await self.done("/campaigns", body | changes))["id"])

    async def sign(self, campaign: str, **changes: Any) -> dict[str, Any]:
        form = a_form(**changes)
        pledge: dict[str, Any] = await self.done(f"/campaigns/{campaign}/pledges", form)
        self.forms[pledge["id"]] = form
        return pledge

    async def verify(self, pledge_id: str) -> httpx.Response:
        return await self.post(f"/signings/{pledge_id}/verify", {"code": await self.code(pledge_id)})

    async def counted(self, campaign: str, **changes: Any) -> dict[str, Any]:
        pledge = await self.sign(campaign, **changes)
        answer = await self.verify(pledge["id"])
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "counted"
        return dict(answer.json())

    async def code(self, pledge_id: str) -> str:
        """The newest code of a pledge, opened from its event as the notifier does."""
        events = await self.events(PledgeCodeIssued.type, pledge_id)
        event = PledgeCodeIssued.model_validate(events[-1])
        await self.host.vault.open_event(event)
        assert event.code
        return event.code

    async def events(self, type_: str, subject: str | None = None) -> list[dict[str, Any]]:
        """The data of the events of a type, oldest first."""
        found = await entries(self.host, "pledges", subject)
        return [data_of(entry) for entry in found if entry["type"] == type_]

    async def erase_signer(self, pledge_id: str) -> None:
        row = await self.store.database["pledges"].find_one({"_id": pledge_id})
        assert row
        await self.host.vault.erase(row["signer"])


@asynccontextmanager
async def running_town(
    mongodb_uri: str, folder: Path, issuer: Issuing, **changes: Any
) -> AsyncIterator[Town]:
    """The service on a real database. Its caller is an officer of the city, unless a test says."""
    settings = settings_of(mongodb_uri, folder, issuer, **changes)
    async with running([service], settings) as host, over_asgi(host, **issuer.bearer(), **KEPT) as http:
        yield Town(host, http, issuer)
