"""The security log: who was refused, who used a role, what was opened, taken out or destroyed.

One JSON line each, on the logger `jinguo.security`, and a count by kind for alarms. A line says the route's
template and never the path, a keyed hash in place of the caller, words of ours as the reason, and nothing
that anybody typed: it may leave for a place that this platform cannot change. Refusals, uses of roles and
deleted keys are written by what every service stands on; a route adds what only it knows, `record(EXPORT)`.
"""

import logging
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

import orjson
from prometheus_client import Counter, Gauge
from starlette.types import Scope

from shared.model.clock import now
from shared.telemetry import current_traceparent, trace_id

NAME = "jinguo.security"
CALLER, ROLE = "security.caller", "security.role"
"""Where in the request's scope the rule of a route puts the caller's id, and the role they act in."""
_lines = logging.getLogger(NAME)
_scope: ContextVar[Scope | None] = ContextVar("security_scope", default=None)


class Kind(StrEnum):
    """What is worth a line."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    TOO_MANY_REQUESTS = "too-many-requests"
    ROLE_USED = "role-used"
    """Somebody acted in another role than a resident's."""
    BREAK_GLASS = "break-glass"
    EXPORT = "export"
    KEY_DELETED = "key-deleted"
    ERASURE = "erasure"
    """A proof of an erasure was written."""
    CLAIMED = "record-claimed"
    """A record that staff wrote down became an account's."""
    PRODUCTION = "production"
    """The process started; the reason says whether as production."""


REFUSALS = {401: Kind.UNAUTHENTICATED, 403: Kind.FORBIDDEN, 429: Kind.TOO_MANY_REQUESTS}
EVENTS = Counter("jinguo_security_events", "Lines of the security log", ["kind"])
PRODUCTION = Gauge("jinguo_production", "1 when the process runs as production, else 0")
_counts = {kind: EVENTS.labels(kind) for kind in Kind}  # from the start, so that the first one is seen


class serving:  # reads as a function
    """What is recorded meanwhile is of this request. A class because it stands around every request."""

    __slots__ = ("_scope", "_token")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._token = _scope.set(self._scope)

    def __exit__(self, *_: object) -> None:
        _scope.reset(self._token)


def record(kind: Kind, reason: str | None = None, **facts: str | int | None) -> None:
    """Write a line. `reason` and `facts` are words and numbers of ours, never what a caller sent."""
    _counts[kind].inc()
    scope = _scope.get()
    line: dict[str, Any] = {"log": NAME, "level": "info", "event": f"security: {kind}", "timestamp": now()}
    line |= {"kind": kind, "reason": reason, **facts}
    line["trace_id"] = trace_id(current_traceparent())
    if scope is not None:
        line |= {"route": _route(scope), "role": scope.get(ROLE), "caller": _caller(scope)}
    _lines.info(orjson.dumps({name: value for name, value in line.items() if value is not None}).decode())


def answered(status: int, reason: str) -> None:
    """Write down an answer that is a refusal; others are none."""
    if kind := REFUSALS.get(status):
        record(kind, reason, status=status)


def started(*, production: bool) -> None:
    """Write down as what the process runs."""
    PRODUCTION.set(production)
    record(Kind.PRODUCTION, "on" if production else "off")


def _route(scope: Scope) -> str | None:
    """`POST /referrals/referrals/{referral_id}/erase`; None where no route was found."""
    template = getattr(scope.get("route"), "path", None)
    return f"{scope['method']} {scope.get('root_path', '')}{template}" if template is not None else None


def _caller(scope: Scope) -> str | None:
    """A keyed hash of the caller's id, else of the address: lines of one caller can be found together."""
    store = getattr(scope["app"].state, "store", None) if "app" in scope else None
    if store is None:
        return None
    blind = store.vault.blind_index
    if (caller := scope.get(CALLER)) is not None:
        return f"account:{blind(f'security|{caller}')}"
    client = scope.get("client")
    return f"address:{blind(f'security-address|{client[0]}')}" if client else None
