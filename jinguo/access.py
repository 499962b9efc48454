"""`docs/access.md`: which role may call which route, written from the rules beside the routes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinguo.services import SERVICES
from shared.access import Rule, rule_of
from shared.roles import Role

PATH = Path("docs/access.md")
HEAD = f"""# Who may call what

Written by `jinguo access` from the rules that stand in the routes' signatures; `make check` refuses a copy
that is not current. ● the role may call (◉: who has signed in within five minutes); what it reaches is
narrowed by its scope: officers and workers by their division, clinicians by their department, residents by
who they are (the referral dashboard is of all counties for all who may see it). 公开 is open to the public.

Beside the services: `/me` and `/me/erase` ask every service in the caller's name, under the rules below.
`/health/*`, `/metrics`, `/*/docs` and `/*/assets/*` are open, metrics not through the gateway.
`/issuer/*` gives anybody a token of a made-up person, and is refused in production.

| method | path | {" | ".join(Role)} | 公开 public |
|---|---|{"---|" * (len(Role) + 1)}
"""


def routes() -> Iterator[tuple[str, str, Rule | None]]:
    """Every route of every service: method, path, and the rule it states."""
    for service in SERVICES:
        for route in _of(service.routers):
            for method in sorted(route.methods):
                yield method, f"/{service.name}{route.path}", rule_of(route)


def _of(routers: Any) -> Iterator[Any]:
    for router in routers:
        yield from router.routes


def document() -> str:
    """The document. Raises LookupError for a route without a rule."""
    return HEAD + "".join(f"| {' | '.join(_row(*route))} |\n" for route in routes())


def _row(method: str, path: str, rule: Rule | None) -> list[str]:
    if rule is None:
        raise LookupError(f"{method} {path} does not say who may call it")
    mark = "◉" if rule.fresh else "●"
    return [method, f"`{path}`", *(mark if role in rule.roles else "" for role in Role), rule.why]


def write() -> None:
    """Write the document."""
    PATH.write_text(document())


def is_current() -> bool:
    """Whether the committed document says what the routes say."""
    return PATH.exists() and PATH.read_text() == document()
