"""What stands around every route: a bound on the body, and the trace context."""

from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.problems import TooLarge, render
from shared.telemetry import accepted_traceparent, traced

MAX_BODY = 1024 * 1024


class BodyLimit:
    """Answers 413 as soon as a body is known to be above `limit` bytes."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > self.limit:
            await render(TooLarge(limit=self.limit))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise TooLarge(limit=self.limit)
            return message

        async def sender(message: Message) -> None:
            if seen <= self.limit:  # else it is the framework's 400 for any error while it reads a body
                await send(message)

        with suppress(TooLarge):  # raised outside of the routes, while reading for a middleware
            await self.app(scope, counted, sender)
        if seen > self.limit:  # our routes read a body before they answer: nothing was sent yet
            await render(TooLarge(limit=self.limit))(scope, receive, send)


class Traced:
    """Serves each request under its W3C trace context, and tells the caller which one it was."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        traceparent = accepted_traceparent(Headers(scope=scope).get("traceparent"))

        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"traceparent", traceparent.encode())]
            await send(message)

        with traced(traceparent):
            await self.app(scope, receive, sender)
