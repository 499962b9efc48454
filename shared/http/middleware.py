"""What stands around the routes of a service: a bound on the body."""

from contextlib import suppress

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.answers import render
from shared.model.problems import TooLarge

MAX_BODY = 64 * 1024
"""Bytes of a body. A route that takes more declares it: `@router.put(…, max_body_size=…)`."""


class BodyLimit:
    """Answers 413 as soon as a body is known to be above what its route takes, `limit` bytes where it says
    nothing. FastAPI enforces a route's own limit too, but only once the route reads, and not as a problem."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self.app = app
        self.limit = limit
        self._larger: list[RouteContext] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "")
        length = int(told) if told.isdecimal() else None
        limit = self.limit if length is not None and length <= self.limit else self._of_route(scope)
        if length is not None and length > limit:
            await render(TooLarge(limit=limit))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise TooLarge(limit=limit)
            return message

        async def sender(message: Message) -> None:
            if seen <= limit:  # else it is the framework's 400 for any error while it reads a body
                await send(message)

        with suppress(TooLarge):  # raised outside of the routes, while reading for a middleware
            await self.app(scope, counted, sender)
        if seen > limit:  # our routes read a body before they answer: nothing was sent yet
            await render(TooLarge(limit=limit))(scope, receive, send)

    def _of_route(self, scope: Scope) -> int:
        """Asked only where a body may be above what every route takes: others pay nothing for it."""
        if self._larger is None:
            routes = iter_route_contexts(scope["app"].routes)
            self._larger = [route for route in routes if getattr(route, "max_body_size", None)]
        found = (route.max_body_size for route in self._larger if route.matches(scope)[0] is Match.FULL)
        return next(found, self.limit)
