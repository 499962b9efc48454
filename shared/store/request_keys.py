"""`Idempotency-Key`: the key of a request, which is stored in the same write as its effect.

The store puts key, fingerprint and answer into the document it writes, where a unique index refuses a
second one. So a repetition always ends in an error, and only then is the stored answer looked up: a
first request pays nothing for it.

A key is its caller's own: what is stored is a keyed hash of it together with what the caller proves who
they are by. The same key of anybody else is another key, so nothing is told by it and none can be taken.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_origin

import orjson
from fastapi import APIRouter
from fastapi.dependencies.utils import get_flat_params
from starlette.datastructures import Headers
from starlette.types import Scope

from shared.model.problems import Problem

HEADER = "idempotency-key"
CALLER, ADMITTED = "caller", "admitted"
"""Where in the request's scope the rule of a route puts who calls, and that they may: for who is refused, or
finds no route, nothing is looked up."""
PARTING = "parting"
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
        parting = {PARTING: True} if PARTING in self.scope else {}
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
def serving(request: RequestKey | None) -> Iterator[None]:
    """What is committed meanwhile is the answer to this request."""
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)


def apart() -> AbstractContextManager[None]:
    """Work on the way to an answer: what it commits is not the answer, and is not kept under the key."""
    return serving(None)


def part() -> None:
    """After this request its caller is no longer known here (an erasure): the answer is for them all the
    same, should they ask again."""
    if request := _current.get():
        request.scope[PARTING] = True
