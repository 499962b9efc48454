"""`Idempotency-Key`: a POST can be repeated safely. What a key is: `shared.store.request_keys`."""

import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.answers import render
from shared.model.problems import MEDIA_TYPE, AnswerNotKept, InvalidRequest, KeyReused, Unavailable
from shared.store.request_keys import ADMITTED, HEADER, MAX_KEY, PARTING, Blind, Find, RequestKey, serving


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
        with serving(request):
            await self.app(scope, _replay(body), self._answered(request, scope, receive, send))

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
    return status not in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND) or PARTING in stored


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
