"""Every list of every service: no cursor breaks it, and no page looks at a whole collection, or sorts it.

Nothing here names a route: a list is a route that answers with a `Page`.
"""

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from jinguo.access import declared
from shared.http.access import rule_of
from shared.http.lists import Page
from shared.model.roles import Role
from shared.store.store import Store
from tests.kit.issuing import Issuing
from tests.kit.problems import problem
from tests.kit.running import a_campaign
from tests.security.two_sides import KEPT, Side, community
from tests.security.whole_city import City

PARTS = re.compile(r"{(\w+)}")


def lists() -> Iterator[tuple[str, Role | None]]:
    """Every list, for each role that may read it; None: for anybody."""
    for service, route in declared():
        model = route.response_model
        if isinstance(model, type) and issubclass(model, Page):
            rule = rule_of(route)
            assert rule
            for role in sorted(rule.roles) or [None]:
                yield f"/{service}{route.path}", role


def made_up() -> Iterator[str]:
    """Cursors of no list."""
    places: list[Any] = [
        *([], {}, "ab", {"a": 1, "b": 2}, [None], [None, "x"], ["x", None], [1, "x"], ["x", 1], [[], {}]),
        *([9223372036854775808], [9223372036854775807, "x"], [{"$gt": ""}], [{"$gt": ""}, "x"]),
        *([{"at": "0001-01-01T00:00:00+14:00"}, "x"], [{"at": "2020-03-08T00:00:00"}, "x"], [{"at": 5}, "x"]),
        *([True], [1.5, "x"], ["x" * 399], ["\u0000", "x"], [{"at": "2020-03-08T00:00:00Z"}] * 4),
    ]
    for place in places:
        yield base64.urlsafe_b64encode(orjson.dumps(place)[:290]).decode().rstrip("=")
    yield from ("!", "null", "W10", "e30")


@pytest.fixture
async def side(city: City, issuer: Issuing) -> Side:
    opened = await city.http.post("/pledges/campaigns", json=a_campaign(), headers=issuer.bearer())
    side = Side("home", city.http, issuer, opened.json()["id"])
    await side.build()
    await side.messages()
    return side


def filled(side: Side, path: str, role: Role | None) -> str:
    every = {name: value for of in side.there.values() for name, value in of.items()}
    known = every | side.there.get(role or Role.COUNTY_OFFICER, {})
    known |= {"community": community(side.name), "campaign_id": side.campaign}
    return PARTS.sub(lambda part: known[part[1]], path)


async def asked(side: Side, path: str, role: Role | None, **query: str) -> Any:
    headers = side.headers(role) if role else dict(KEPT)
    needed = {"department": "breast"} if path.endswith("/slots") else {}
    return await side.http.get(filled(side, path, role), params=needed | query, headers=headers)


async def test_whatever_stands_in_a_cursor_it_is_a_page_or_is_refused(side: Side) -> None:
    found, cursors = list(lists()), list(made_up())
    assert len({path for path, _ in found}) > 12
    theirs = [
        answer.json()["next"]
        for path, role in found
        if (answer := await asked(side, path, role, limit="1")).is_success
    ]
    assert any(theirs)
    for path, role in found:
        assert (await asked(side, path, role)).status_code == 200, (path, role)
        for cursor in (*cursors, *filter(None, theirs)):
            answer = await asked(side, path, role, after=cursor)
            refused = answer.status_code == 422 and problem(answer) == "invalid-request"
            assert answer.status_code == 200 or refused, (path, role, cursor, answer.text)


async def test_every_list_is_read_in_its_order_from_an_index(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the plans that MongoDB has for it one neither looks at every document nor sorts what it found."""
    seen: list[Callable[[], Any]] = []
    select = Store.select

    async def watched(self: Store, model: Any, where: Any, *, sort: Any = (), limit: int = 100) -> Any:
        found = self.collection(model).find(where, sort=list(sort) or None, limit=limit)
        seen.append(found.explain)
        return await select(self, model, where, sort=sort, limit=limit)

    monkeypatch.setattr(Store, "select", watched)
    explained = 0
    for path, role in lists():
        seen.clear()
        assert (await asked(side, path, role)).status_code == 200
        for explain in seen:
            planner = (await explain())["queryPlanner"]
            plans = [planner["winningPlan"], *planner["rejectedPlans"]]
            assert any(not {"SORT", "COLLSCAN"} & stages(plan) for plan in plans), (
                path,
                role,
                [named(plan) for plan in plans],
            )
            explained += 1
    assert explained > 20


def stages(plan: dict[str, Any]) -> set[str]:
    """What a plan does, step by step."""
    inner = [plan[name] for name in ("inputStage", "queryPlan") if name in plan]
    inner += plan.get("inputStages", [])
    return {plan.get("stage", "")}.union(*map(stages, inner))


def named(plan: dict[str, Any]) -> list[str]:
    """Its steps and indexes, for the report of a failure."""
    inner = [plan[name] for name in ("inputStage", "queryPlan") if name in plan] + plan.get("inputStages", [])
    own = f"{plan.get('stage', '')} {plan.get('indexName', '')}".strip()
    return [own, *(name for one in inner for name in named(one))]
