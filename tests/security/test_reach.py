"""Ids and divisions that callers name, in paths, queries and bodies: another's gets them nowhere.

Nothing here names a route: what one lets callers name is found in its declaration, and what of it is missing
on the two sides fails the test.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from jinguo.access import declared
from shared.city.days import local_day
from shared.city.divisions import DivisionCode
from shared.http.access import Caller, anyone, may, rule_of
from shared.http.reach import OwnDivision, check_reach, named_in
from shared.model.clock import now
from shared.model.roles import Role
from tests.kit.issuing import Issuing
from tests.kit.running import a_campaign
from tests.security.two_sides import Side
from tests.security.whole_city import City

LIMITED = {Role.RESIDENT, Role.COMMUNITY_WORKER, Role.COUNTY_OFFICER, Role.CLINICIAN}
"""Who reaches a part of the city only. Others reach all, but desks and messages are one's own."""
SAME_FOR_ALL = {"campaign_id": "活动对全市公开 / campaigns are public"}
NO_ID = {"day", "token"}
KNOWN = {
    "delayed_since": "2020-02-01",
    "with_serving_chopsticks": 1,
    "phone": "13811112229",
    "name": "王秀英",
}


class Attempt(NamedTuple):
    """A route, for a role; and what it lets callers name."""

    method: str
    path: str
    role: Role
    names: list[str]
    """As `path.team_id`, `body.condition.division`."""
    open_to: set[str]
    body: type[BaseModel] | None

    def request(self, values: dict[str, str]) -> dict[str, Any]:
        """With these values by name."""
        path = re.sub(r"{(\w+)}", lambda name: values.get(f"path.{name[1]}", "2020-03-08"), self.path)
        query = {n.split(".")[1]: v for n, v in values.items() if n.startswith("query.")}
        body = example(self.body, "body", values) if self.body else None
        return {"method": self.method, "url": path, "params": query, "json": body}


def attempts() -> Iterator[Attempt]:
    for service, route in declared():
        rule = rule_of(route)
        for role in sorted(rule.roles if rule else ()):
            [body] = [field.field_info.annotation for field in route.dependant.body_params] or [None]
            names, open_to = names_of(route, body)
            if names:
                [method] = route.methods
                yield Attempt(method, f"/{service}{route.path}", role, names, open_to, body)


def names_of(route: Any, body: Any) -> tuple[list[str], set[str]]:
    """All ids, divisions and departments that a route lets callers name; and those that may be anybody's."""
    places = named_in(route)
    names = [f"path.{name}" for name in re.findall(r"{(\w+)}", route.path) if name not in NO_ID]
    names += [place.field for place in places if place.field not in names]
    query = [field.name for inner in dependants(route.dependant) for field in inner.query_params]
    names += [f"query.{name}" for name in query if name.endswith("_id")]
    names += [name for name in ids_in(body, "body") if name not in names]
    return names, {place.field for place in places if place.open_to}


def dependants(dependant: Any) -> Iterator[Any]:
    yield dependant
    for inner in dependant.dependencies:
        yield from dependants(inner)


def ids_in(model: Any, path: str) -> Iterator[str]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, info in model.model_fields.items():
            if name.endswith("_id"):
                yield f"{path}.{name}"
            yield from ids_in(info.annotation, f"{path}.{name}")


def example(model: type[BaseModel], path: str, values: dict[str, str]) -> dict[str, Any]:
    """A body that fits: required fields, and those with a value of ours."""
    schema, found = model.model_json_schema(), {}
    for name, info in model.model_fields.items():
        here, inner = f"{path}.{name}", info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found[name] = example(inner, here, values)
        elif here in values:
            found[name] = values[here]
        elif info.is_required():
            found[name] = KNOWN.get(name) or by_schema(schema["properties"][name], schema.get("$defs", {}))
    return found


def by_schema(wanted: dict[str, Any], defs: dict[str, Any]) -> Any:
    if "$ref" in wanted:
        wanted = defs[wanted["$ref"].rpartition("/")[2]]
    if "const" in wanted or "enum" in wanted:
        return wanted.get("const", wanted.get("enum", [None])[0])
    formats = {
        "date-time": a_campaign()["closes_at"],
        "date": (local_day(now()) + timedelta(days=3)).isoformat(),
        "uri": "https://meet.example.com/1",
    }
    if wanted.get("format") in formats:
        return formats[wanted["format"]]
    kinds = {"boolean": True, "integer": max(wanted.get("minimum", 0), 1)}
    return kinds.get(wanted["type"], "甲" * max(wanted.get("minLength", 0), 1))


@pytest.fixture
async def sides(city: City, issuer: Issuing) -> tuple[Side, Side]:
    officer = issuer.bearer(Role.CITY_OFFICER)
    opened = await city.http.post("/pledges/campaigns", json=a_campaign(), headers=officer)
    home, away = (Side(name, city.http, issuer, opened.json()["id"]) for name in ("home", "away"))
    for side in (home, away):
        await side.build()
    for side in (home, away):
        await side.messages()
    anothers = away.there[Role.RESIDENT]["message_id"]
    for role in (Role.COUNTY_OFFICER, Role.CITY_OFFICER, Role.COORDINATOR, Role.DATA_OFFICER):
        away.there[role]["message_id"] = anothers
    away.there[Role.COORDINATOR]["desk"], away.there[Role.DATA_OFFICER]["desk"] = (
        "data-officer",
        "coordinator",
    )
    return home, away


def limited(attempt: Attempt) -> list[str]:
    """What of it another's must not be named by the role."""
    own = [name for name in attempt.names if name not in attempt.open_to and last(name) not in SAME_FOR_ALL]
    return own if attempt.role in LIMITED else [name for name in own if last(name) in ("desk", "message_id")]


def last(name: str) -> str:
    return name.rpartition(".")[2]


async def test_another_sides_id_or_division_is_refused_wherever_it_can_be_named(
    sides: tuple[Side, Side],
) -> None:
    home, away = sides
    tried: list[tuple[Attempt, dict[str, str]]] = []
    for attempt in attempts():
        if not (forbidden := limited(attempt)):
            continue
        own, others = home.there[attempt.role], away.there[attempt.role]
        values = {name: own[last(name)] for name in attempt.names if last(name) in own}
        for name in forbidden:
            assert last(name) in others, (
                f"put a {last(name)} for {attempt.role} on both sides: {attempt.path}"
            )
            for headers in ({}, {"If-Match": '"9"'}):
                request = attempt.request(values | {name: others[last(name)]})
                answer = await home.http.request(**request, headers=home.headers(attempt.role) | headers)
                assert answer.status_code in (403, 404), (
                    f"{attempt} {name}: {answer.status_code} {answer.text}"
                )
        tried.append((attempt, values))
    assert len(tried) > 40
    await own_ones_are_let_in(home, tried)


async def own_ones_are_let_in(home: Side, tried: list[tuple[Attempt, dict[str, str]]]) -> None:
    """So it was the other side's value that was refused. What ends a record comes last."""
    tried.sort(key=lambda one: (one[0].method != "GET", "erase" in one[0].path))
    for attempt, values in tried:
        if set(attempt.names) - attempt.open_to <= set(values):
            answer = await home.http.request(**attempt.request(values), headers=home.headers(attempt.role))
            assert answer.status_code not in (401, 403, 404, 422), f"{attempt}: {answer.text}"


class Bare(BaseModel):
    places: list[DivisionCode | None] = []


class Owned(BaseModel):
    places: list[OwnDivision | None] = []


def test_a_route_that_lets_a_division_be_named_without_a_word_cannot_be_served() -> None:
    router = APIRouter()

    @router.post("/bare")
    async def bare(_: Annotated[Caller, may(Role.COUNTY_OFFICER)], body: Bare) -> None: ...

    @router.get("/owned-by-nobody")
    async def nobodys(_: Annotated[None, anyone("why")], division: OwnDivision) -> None: ...

    @router.get("/never-theirs")
    async def never(
        _: Annotated[Caller, may(Role.COUNTY_OFFICER, Role.RESIDENT)], at: OwnDivision
    ) -> None: ...

    @router.post("/owned")
    async def owned(_: Annotated[Caller, may(Role.COUNTY_OFFICER)], body: Owned) -> None: ...

    @router.post("/public")
    async def public(_: Annotated[None, anyone("why")], body: Bare) -> None: ...

    first, second, third, *fine = router.routes
    with pytest.raises(ValueError, match=r"/bare: body\.places is neither"):
        check_reach(first)
    for route in (second, third):
        with pytest.raises(ValueError, match="nobody's own"):
            check_reach(route)
    for route in fine:
        check_reach(route)
