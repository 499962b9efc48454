"""`Idempotency-Key`: a POST can be repeated safely; the key is stored in the same write as its effect.

The store puts key, fingerprint and answer into the document it writes, where a unique index refuses a
second one. So a repetition always ends in an error, and only then is the stored answer looked up: a
first request pays nothing for it.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.problems import MEDIA_TYPE, InvalidRequest, KeyReused, Unavailable, render

HEADER = "idempotency-key"
CALLER, ADMITTED = "caller", "admitted"
"""Where in the request's scope the rule of a route (shared.access) puts who calls, and that they may: for
who is refused, or finds no route, nothing is looked up."""
MAX_KEY = 128
KEPT = timedelta(days=1)
"""For how long a repetition gets the same answer."""
FIELD = "answers"
"""The array inside a document that keeps keys with their answers."""

Find = Callable[["RequestKey"], Awaitable[dict[str, Any] | None]]
Blind = Callable[[str], str]
"""A keyed hash (the vault's): a bare one of a body that holds a phone would tell it to whoever tries all."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The key of the request being served."""

    key: str
    fingerprint: str
    scope: Scope
    blind: Blind

    @property
    def caller(self) -> str:
        """A hash of whose key it is, as the route's rule found out; empty on a route open to the public."""
        subject = self.scope.get(CALLER)
        return self.blind(f"key|{self.key}|{subject}") if subject else ""

    def entry(self, body: str, etag: str, status: int | None = None) -> dict[str, Any]:
        """What the store keeps beside the effect. `status`: of a refusal; None: the route's own."""
        route = self.scope.get("route")
        status = status or getattr(route, "status_code", None) or 200
        return {
            "key": self.key,
            "fingerprint": self.fingerprint,
            "caller": self.caller,
            "status": status,
            "body": body,
            "etag": etag,
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


class IdempotentPosts:
    """Middleware. `find` looks a key up in the service's documents; `blind` hashes what is kept with it."""

    def __init__(self, app: ASGIApp, find: Find, blind: Blind) -> None:
        self.app = app
        self.find = find
        self.blind = blind

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
        request = RequestKey(key, self.blind(f"request|{digest}"), scope, self.blind)
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
                if stored is not None and _concerns(request, stored, message["status"]):
                    replaced = True
                    await _stored_answer(request, stored, scope, receive, send)
            if not replaced:
                await send(message)

        return sender


def _may_be_a_repetition(scope: Scope, status: int) -> bool:
    return 400 <= status < 500 and ADMITTED in scope


def _concerns(request: RequestKey, stored: dict[str, Any], status: int) -> bool:
    """Whether the stored answer is the caller's own. Of another's they are told only that the key is taken,
    and that only where their request failed for it."""
    return bool(stored.get("caller", "") == request.caller) or status == HTTPStatus.CONFLICT


async def _stored_answer(
    request: RequestKey, stored: dict[str, Any], scope: Scope, receive: Receive, send: Send
) -> None:
    if (stored["fingerprint"], stored.get("caller", "")) != (request.fingerprint, request.caller):
        await render(KeyReused())(scope, receive, send)
        return
    media = MEDIA_TYPE if stored["status"] >= HTTPStatus.BAD_REQUEST else "application/json"
    headers = [(b"content-type", media.encode()), (b"etag", stored["etag"].encode())]
    headers.append((b"idempotency-replayed", b"true"))
    await send({"type": "http.response.start", "status": stored["status"], "headers": headers})
    await send({"type": "http.response.body", "body": stored["body"].encode()})


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
