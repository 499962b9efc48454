"""`/me`: what all services hold about a caller in one document, and to be erased by all of them.

Services know nothing of each other: this asks each of them, in the caller's name, through the gateway.
"""

import asyncio

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jinguo.services import SERVICES
from shared.model import problems
from shared.model.problems import Unavailable

PATH = "/me"
PASSED_ON = (401, 403)


class Me:
    """Asks the services behind `gateway` (a URL)."""

    def __init__(self, gateway: str, timeout: float) -> None:
        self._gateway = gateway
        self._timeout = timeout
        self._services = [s.name for s in SERVICES if s.persons]

    def routes(self) -> list[Route]:
        """GET: what is held. POST …/erase: everything is erased; what failed can be repeated."""
        return [Route(PATH, self._read), Route(f"{PATH}/erase", self._erase, methods=["POST"])]

    async def _read(self, request: Request) -> JSONResponse:
        return await self._all(request, "GET", "/me")

    async def _erase(self, request: Request) -> JSONResponse:
        return await self._all(request, "POST", "/me/erase")

    async def _all(self, request: Request, method: str, path: str) -> JSONResponse:
        """All answers in one, by service; a refusal of one is the answer.

        Raises Unavailable while any is away; `answered` says by which of them it is done.
        """
        headers = {"Authorization": request.headers.get("authorization", "")}
        async with httpx.AsyncClient(base_url=self._gateway, headers=headers, timeout=self._timeout) as http:
            answers = await asyncio.gather(
                *(self._one(http, method, f"/{service}{path}") for service in self._services)
            )
        came = {s: answer for s, answer in zip(self._services, answers, strict=True) if answer is not None}
        if len(came) < len(answers):
            raise Unavailable(answered=sorted(came))
        refused = [answer for answer in came.values() if answer.status_code in PASSED_ON]
        if refused:
            challenge = refused[0].headers.get("WWW-Authenticate")
            kept = {"WWW-Authenticate": challenge} if challenge else {}
            return JSONResponse(refused[0].json(), refused[0].status_code, kept, problems.MEDIA_TYPE)
        return JSONResponse({service: answer.json() for service, answer in came.items()})

    async def _one(self, http: httpx.AsyncClient, method: str, path: str) -> httpx.Response | None:
        """A service's answer; None when it is away."""
        try:
            answer = await http.request(method, path)
        except httpx.HTTPError:
            return None
        return None if answer.is_error and answer.status_code not in PASSED_ON else answer
