"""What stands around every answer: browser headers, `HEAD`, the trace context, the last resort."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import security_log
from shared.http import answers, devices
from shared.http.answers import answer_to
from shared.model.problems import Problem
from shared.settings import settings
from shared.telemetry import accepted_traceparent, traced

Raw = tuple[tuple[bytes, bytes], ...]
Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For pages: what they are made of comes from us, as files; nothing that stands in the page itself runs."""
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""For everything else: whatever a browser takes it for, it loads and runs nothing."""
HSTS = "max-age=31536000"
"""A year, for this host alone: what lies under its name is not ours to decide."""
log = structlog.get_logger()


def _prepared(policy: str, *, secure: bool, stored: bool) -> Raw:
    named = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    if secure:
        named["strict-transport-security"] = HSTS
    if not stored:
        named["cache-control"] = "no-store"
    return tuple((name.encode(), value.encode()) for name, value in named.items())


_OURS = {
    (page, secure, stored): _prepared(PAGE_POLICY if page else DATA_POLICY, secure=secure, stored=stored)
    for page in (False, True)
    for secure in (False, True)
    for stored in (False, True)
}


def _ours(theirs: Sequence[tuple[bytes, bytes]], *, secure: bool) -> Raw:
    """What we add. Nobody may keep an answer unless its route says so: most of ours are personal, and one
    that is must not be forgotten."""
    page = stored = False
    for name, value in theirs:
        if name == b"content-type":
            page = value.startswith(b"text/html")
        elif name == b"cache-control":
            stored = True
    return _OURS[page, secure, stored]


class Edge:
    """Middleware around all routes, in place of one for each of these: it stands in every request's way.

    `secure`: residents reach us by TLS, whatever the proxy in front says (`X-Forwarded-Proto` of a trusted
    one is in the scope's scheme). `HEAD` is answered as `GET` is, without the body.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self.secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        traceparent = accepted_traceparent(Headers(scope=scope).get("traceparent"))
        answer = _Answer(scope, send, traceparent, secure=self.secure or scope["scheme"] == "https")
        if answer.without_body:
            scope = {**scope, "method": "GET"}
        with traced(traceparent), security_log.serving(scope):
            try:
                await self.app(scope, receive, answer.send)
            except Exception:
                log.exception("request failed", route=getattr(scope.get("route"), "path", None))
                # A server that meets an exception closes the connection, and with it the next request that
                # a gateway has sent there already. Only half an answer has to end like that.
                if not answer.started:
                    await answer_to(scope, Problem())(scope, receive, answer.send)
                elif not answer.complete:
                    raise


class _Answer:
    """One answer on its way out."""

    __slots__ = ("_scope", "_secure", "_send", "_traceparent", "complete", "started", "without_body")

    def __init__(self, scope: Scope, send: Send, traceparent: str, *, secure: bool) -> None:
        self._scope = scope
        self._send = send
        self._traceparent = traceparent
        self._secure = secure
        self.without_body = scope["method"] == "HEAD"
        self.started = self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not (self.without_body and self.complete):
            self.complete = not message.get("more_body", False)
            await self._send(message)

    async def _start(self, message: Message) -> None:
        self.started = True
        theirs = message.get("headers", ())
        ours = _ours(theirs, secure=self._secure)
        message["headers"] = [*theirs, (b"traceparent", self._traceparent.encode()), *ours]
        if cookie := self._scope.get(devices.SCOPE):
            message["headers"].append((b"set-cookie", cookie.encode()))
        await self._send(message)
        if self.without_body:  # at once: who streams is told that nobody listens any more, and ends
            self.complete = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def front(routes: Sequence[BaseRoute], lifespan: Lifespan | None = None) -> Starlette:
    """An application of these routes with everything that stands around an answer; problems are documents."""
    secure = settings().public_url.startswith("https://")
    edge: list[Any] = [Middleware(Edge, secure=secure)]
    app = Starlette(routes=routes, lifespan=lifespan, middleware=edge)
    answers.install(app)
    return app
