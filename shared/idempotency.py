"""`Idempotency-Key`: a POST can be repeated safely; the key is stored in the same write as its effect.

The store puts key, fingerprint and answer into the document it writes, where a unique index refuses a
second one. So a repetition always ends in an error, and only then is the stored answer looked up: a
first request pays nothing for it.

A key is its caller's own: what is stored is a keyed hash of it together with what the caller proves who
they are by. The same key of anybody else is another key, so nothing is told by it and none can be taken.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, get_origin

import orjson
from fastapi import APIRouter
from fastapi.dependencies.utils import get_flat_params
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.problems import MEDIA_TYPE, AnswerNotKept, InvalidRequest, KeyReused, Problem, Unavailable, render

HEADER = "idempotency-key"
CALLER, ADMITTED = "caller", "admitted"
"""Where in the request's scope the rule of a route (shared.access) puts who calls, and that they may: for
who is refused, or finds no route, nothing is looked up."""
_PARTING = "parting"
MAX_KEY = 128
KEPT = timedelta(days=1)
"""For how long a repetition gets the same answer."""

Find = Callable[["RequestKey"], Awaitable[dict[str, Any] | None]]
Blind = Callable[[str], str]
"""A keyed hash (the vault's): a bare one of a body that holds a phone would tell it to whoever tries all."""


class _ProofMark:
    """Marks a header by which a caller proves something."""


PROVES = _ProofMark()
"""`SigningKey = Annotated[str, Header(alias="Signing-Key"), PROVES]`: on each route of a service that has
such a header somewhere, it is part of whose Idempotency-Key it is."""


def proof_headers(routers: Sequence[APIRouter]) -> tuple[str, ...]:
    """The names of the headers by which the callers of some routes prove something."""
    routes: list[Any] = [route for router in routers for route in router.routes]
    fields = [field for route in routes for field in get_flat_params(route.dependant)]
    return tuple(sorted({field.alias.lower() for field in fields if PROVES in field.field_info.metadata}))


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The key of the request being served. `proofs`: the headers that prove something in this service."""

    key: str
    fingerprint: str
    scope: Scope
    blind: Blind
    proofs: Sequence[str] = ()

    @property
    def identity(self) -> str:
        """What the key is kept as: a hash of it and of whose it is, the account's and that of each proof.

        Of somebody who brings neither, nothing is known but the request: the same key with another one is
        another key. To be asked for once the route's rule has run.
        """
        headers = Headers(scope=self.scope) if self.proofs else Headers()
        brought = [[name, *headers.getlist(name)] for name in self.proofs if name in headers]
        account = self.scope.get(CALLER)
        whose = [account, brought] if account or brought else self.fingerprint
        return self.blind("key|" + orjson.dumps([self.key, whose]).decode())

    def check_answers(self, answer: object) -> None:
        """Raises RuntimeError for what the route does not answer with: it is work on the way, see `apart`."""
        declared = getattr(self.scope.get("route"), "response_model", None)
        of_class = isinstance(declared, type) and not isinstance(answer, declared)
        if not isinstance(answer, Problem) and (of_class or get_origin(declared) is list):
            raise RuntimeError(f"{type(answer).__name__} is not the answer of {self.scope['path']}")

    def entry(self, body: str | None, etag: str, status: int | None = None) -> dict[str, Any]:
        """What the store keeps beside the effect. `status`: of a refusal; None: the route's own. `body`: None
        where it is too large to be kept."""
        route = self.scope.get("route")
        status = status or getattr(route, "status_code", None) or 200
        parting = {_PARTING: True} if _PARTING in self.scope else {}
        return {
            "key": self.identity,
            "fingerprint": self.fingerprint,
            "status": status,
            "body": body,
            "etag": etag,
            **parting,
        }


_current: ContextVar[RequestKey | None] = ContextVar("request_key", default=None)


def current() -> RequestKey | None:
    """The key of the request that this task serves, if it has one."""
    return _current.get()


@contextmanager
def apart() -> Iterator[None]:
    """Work on the way to an answer: what it commits is not the answer, and is not kept under the key."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def part() -> None:
    """After this request its caller is no longer known here (an erasure): the answer is for them all the
    same, should they ask again."""
    if request := _current.get():
        request.scope[_PARTING] = True


class IdempotentPosts:
    """Middleware. `find` looks a key up in the service's documents; `blind` hashes what is kept with it;
    `proofs` are the headers that prove something."""

    def __init__(self, app: ASGIApp, find: Find, blind: Blind, proofs: Sequence[str] = ()) -> None:
        self.app = app
        self.find = find
        self.blind = blind
        self.proofs = proofs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = (
            Headers(scope=scope).get(HEADER)
            if scope["type"] == "http" and scope["method"] == "POST"
            else None
        )
        if key is None:
            await self.app(scope, receive, send)
            return
        if not 1 <= len(key) <= MAX_KEY:
            problem = InvalidRequest(
                errors=[{"field": "header.Idempotency-Key", "message": "1..128 characters"}]
            )
            await render(problem)(scope, receive, send)
            return
        body = await _read(receive)
        digest = hashlib.sha256(scope["path"].encode() + b"\n" + body).hexdigest()
        request = RequestKey(key, self.blind(f"request|{digest}"), scope, self.blind, self.proofs)
        token = _current.set(request)
        try:
            await self.app(scope, _replay(body), self._answered(request, scope, receive, send))
        finally:
            _current.reset(token)

    def _answered(self, request: RequestKey, scope: Scope, receive: Receive, send: Send) -> Send:
        """Pass a success through; in place of an error, send the answer stored under the key."""
        replaced = False

        async def sender(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and _may_be_a_repetition(scope, message["status"]):
                try:
                    stored = await self.find(request)
                except Unavailable as problem:  # whether it was done is not known
                    replaced = True
                    await render(problem)(scope, receive, send)
                    return
                if stored is not None and _is_for(stored, message["status"]):
                    replaced = True
                    await _stored_answer(request, stored, scope, receive, send)
            if not replaced:
                await send(message)

        return sender


def _may_be_a_repetition(scope: Scope, status: int) -> bool:
    return 400 <= status < 500 and ADMITTED in scope and status != HTTPStatus.UNAUTHORIZED


def _is_for(stored: dict[str, Any], status: int) -> bool:
    """Whether the caller may have it: not who is refused now, unless it was the request itself that ended
    what they were known by."""
    return status not in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND) or _PARTING in stored


async def _stored_answer(
    request: RequestKey, stored: dict[str, Any], scope: Scope, receive: Receive, send: Send
) -> None:
    if stored["fingerprint"] != request.fingerprint:
        await render(KeyReused())(scope, receive, send)
        return
    headers = {"Idempotency-Replayed": "true"} | ({"ETag": stored["etag"]} if stored["etag"] else {})
    if stored["body"] is None:
        done = AnswerNotKept(done=stored["status"], at=stored["at"], headers=headers)
        await render(done)(scope, receive, send)
        return
    media = MEDIA_TYPE if stored["status"] >= HTTPStatus.BAD_REQUEST else "application/json"
    answer = Response(stored["body"], stored["status"], headers=headers, media_type=media)
    await answer(scope, receive, send)


async def _read(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return body


def _replay(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
