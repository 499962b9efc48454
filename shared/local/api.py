"""The platform as its users see it: what the parts of the demo ask it, over HTTP."""

import asyncio
import random
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from shared.local.client import Client
from shared.local.people import PATH, NoToken, Person

PATIENCE = 60
"""Seconds that one request is tried again, and that a board may take to catch up."""


class Refused(RuntimeError):
    """The platform said no."""


class NotYet(Exception):
    """Something is still on its way: ask again."""


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

    async def code_for(self, **about: str) -> str:
        """The one-time code that the notifier sent, from its local page; `about` names what it proves.

        Raises NotYet after PATIENCE.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        await asyncio.sleep(self._usual)  # to ask before it can be there costs both sides
        while not (sent := await self.get("/notifier/outgoing.json", None, **about)):
            if clock() - began > PATIENCE:
                raise NotYet(f"no message for {about} yet")
            await asyncio.sleep(random.uniform(0.5, 1) * max(0.03, self._usual / 2))
        self._usual += ((clock() - began) * 0.9 - self._usual) / 20
        return str(sent[0]["code"])

    async def board(self, activity: str, headers: dict[str, str] | None = None) -> Any:
        """What an activity's board shows."""
        return await self.get(f"/notifier/dashboards/{activity}", headers=headers)
