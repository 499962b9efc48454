"""`docs/access.md`: which role may call which route, written from the rules beside the routes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinguo.services import SERVICES
from shared.http.access import Rule, rule_of
from shared.http.reach import named_in
from shared.model.roles import Role

PATH = Path("docs/access.md")
OPEN = """
Divisions, departments and records that callers name must be their own, or the city's for who answers for all
of it. On routes for a role, these may be anybody's:

| path | field | why |
|---|---|---|
"""
HEAD = f"""# Who may call what

Written by `jinguo access` from the rules that stand in the routes' signatures; `make check` refuses a copy
that is not current. ● the role may call (◉: who has signed in within five minutes); what it reaches is
narrowed by its scope: officers and workers by their division, clinicians by their department, residents by
who they are (the referral dashboard is of all counties for all who may see it). 公开 is open to the public.
Whoever has several roles acts in one; where a route is for several of them, `Acting-Role` says in which.

Beside the services: `/me` and `/me/erase` ask every service in the caller's name, under the rules below.
`/health/*`, `/metrics`, `/*/docs` and `/*/assets/*` are open, metrics not through the gateway.
`/issuer/*` gives anybody a token of a made-up person, and is refused in production.

| method | path | {" | ".join(Role)} | 公开 public |
|---|---|{"---|" * (len(Role) + 1)}
"""


def declared() -> Iterator[tuple[str, Any]]:
    """Every route of every service, as it is declared; and the service's name."""
    for service in SERVICES:
        for router in service.routes:
            for route in router.routes:
                yield service.name, route


def routes() -> Iterator[tuple[str, str, Rule | None]]:
    """Every route of every service: method, path, and the rule it states."""
    for service, route in declared():
        for method in sorted(route.methods):
            yield method, f"/{service}{route.path}", rule_of(route)


def document() -> str:
    """The document. Raises LookupError for a route without a rule."""
    table = "".join(f"| {' | '.join(_row(*route))} |\n" for route in routes())
    return HEAD + table + OPEN + "".join(f"| {' | '.join(row)} |\n" for row in _open_to_all())


def _open_to_all() -> Iterator[tuple[str, str, str]]:
    for service, route in declared():
        for named in named_in(route):
            if named.open_to:
                yield f"`/{service}{route.path}`", f"`{named.field}`", named.open_to


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
