"""Roles mixed: whoever has several acts in one, and a second role never gives what the first does not."""

import re
from itertools import combinations
from typing import Any

import httpx
import pytest

from jinguo.access import routes
from shared.city.departments import Department
from shared.city.divisions import CITY
from shared.model.roles import Account, Bearer, Role, lack
from tests.kit.issuing import Issuing, somebody
from tests.kit.problems import facts, problem
from tests.kit.running import a_request

ENDLESS = {f"/notifier/dashboards/{board}/stream" for board in ("pledges", "referrals")}
CLOSED = [(m, path, rule.roles) for m, path, rule in routes() if rule and rule.roles and path not in ENDLESS]
VERIFIED = {"phone_number": "+8613857001234", "phone_number_verified": True}


def bearer(issuer: Issuing, *roles: Role, acting: str | None = None, **claims: Any) -> dict[str, str]:
    """The headers of one person with several roles; the first one's scope, and a department."""
    claims = {"department": "breast", "sub": "somebody", **VERIFIED} | claims
    token = issuer.token(somebody(roles[0]), roles=list(roles), **claims)
    return {"Authorization": f"Bearer {token}"} | ({"Acting-Role": acting} if acting else {})


def filled(path: str) -> str:
    known = {"division": "330802", "community": "330802005001", "day": "2020-03-08", "department": "breast"}
    return re.sub(r"{(\w+)}", lambda name: known.get(name[1], "x"), path)


def told(answer: httpx.Response) -> tuple[int, str]:
    """What somebody was answered, whenever that was."""
    return answer.status_code, re.sub(r'"as_of":"[^"]+"', "", answer.text)


@pytest.mark.parametrize("at", [None, CITY, "330802", "330802005001"])
@pytest.mark.parametrize("works_in", [None, Department.BREAST])
def test_what_one_is_in_a_role_is_the_same_whatever_else_one_is(
    at: str | None, works_in: Department | None
) -> None:
    account = Account(id="somebody", phone="13857001234")
    scopes = {"org_unit": "kecheng", "division": at, "department": works_in}
    alone = {role: Bearer.of(account, frozenset({role}), **scopes) for role in Role}
    for size in range(2, len(Role) + 1):
        for roles in combinations(Role, size):
            together = Bearer.of(account, frozenset(roles), **scopes)
            assert together.callers == {k: v for role in roles for k, v in alone[role].callers.items()}
            assert together.lacks == {k: v for role in roles for k, v in alone[role].lacks.items()}


async def test_on_every_route_a_second_role_changes_nothing_of_what_the_first_one_gets(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    tried = 0
    for method, path, allowed in CLOSED:
        for role in sorted(allowed):
            division = somebody(role).claims().get("division")
            alone = await http.request(method, filled(path), json={}, headers=bearer(issuer, role))
            for other in sorted(set(Role) - {role}):
                chosen, unsaid = [
                    await http.request(method, filled(path), json={}, headers=headers)
                    for headers in (bearer(issuer, role, other, acting=role), bearer(issuer, role, other))
                ]
                assert told(chosen) == told(alone), (path, other)
                if other in allowed and lack(other, division, Department.BREAST) is None:
                    assert (unsaid.status_code, problem(unsaid)) == (400, "acting-role-needed"), (path, other)
                    assert facts(unsaid)["choices"] == sorted((role, other))
                else:
                    assert told(unsaid) == told(alone), (path, other)
                tried += 1
    assert tried > 300


async def test_a_role_that_is_chosen_and_not_held_or_not_the_routes_gets_nothing(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    for method, path, allowed in CLOSED:
        role = min(allowed)
        for acting in ("nobody", *(set(Role) - {role})):
            refused = await http.request(
                method, filled(path), json={}, headers=bearer(issuer, role, acting=acting)
            )
            assert (refused.status_code, facts(refused)["needed"]) == (403, sorted(allowed)), path


async def test_a_role_whose_scope_is_missing_or_of_another_level_reaches_nothing_on_any_route(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    wrong: dict[Role, list[tuple[str, dict[str, Any]]]] = {
        Role.COMMUNITY_WORKER: [("division-level", {"division": d}) for d in (CITY, "330802")],
        Role.COUNTY_OFFICER: [("division-level", {"division": d}) for d in (CITY, "330802005")],
        Role.CITY_OFFICER: [("division-level", {"division": d}) for d in ("330802", "330802005001")],
        Role.CLINICIAN: [("department", {"department": d}) for d in (None, "cardiology", "", ["breast"])],
    }
    for role in (Role.COMMUNITY_WORKER, Role.COUNTY_OFFICER, Role.CITY_OFFICER):
        wrong[role] += [("division", {"division": division}) for division in (None, "33", 330802)]
    tried = set()
    for method, path, allowed in CLOSED:
        for role in allowed & wrong.keys():
            for why, claims in wrong[role]:
                headers = bearer(issuer, role, **claims)
                refused = await http.request(method, filled(path), json={}, headers=headers)
                assert refused.status_code == 403, (path, role, claims)
                assert facts(refused)["lacking"] == {role: why}, (path, role, claims)
                tried.add(role)
    assert tried == set(wrong)


async def test_a_coordinator_who_is_a_patient_too_does_not_take_the_record_of_whom_she_asks_for(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    both = bearer(issuer, Role.COORDINATOR, Role.RESIDENT, phone_number="+8613811112222")
    asked = await http.post("/referrals/referrals", json=a_request(), headers=both)
    assert (asked.status_code, problem(asked)) == (400, "acting-role-needed")
    as_coordinator, as_patient = both | {"Acting-Role": "coordinator"}, both | {"Acting-Role": "resident"}
    asked = await http.post("/referrals/referrals", json=a_request(), headers=as_coordinator)
    assert asked.status_code == 201
    one = f"/referrals/referrals/{asked.json()['id']}"
    assert (await http.get("/referrals/referrals", headers=both)).json()["items"] == []
    for path in (one, f"{one}/fhir"):
        assert (await http.get(path, headers=both)).status_code == 404
    assert (await http.get(f"{one}/clinical", headers=as_coordinator)).status_code in (403, 404)
    assert (await http.get(f"{one}/logistics", headers=both)).status_code == 200
    cancel = await http.post(f"{one}/cancel", json={"why": "patient-asked"}, headers=as_patient)
    assert cancel.status_code == 404
    await http.post(f"{one}/cancel", json={"why": "patient-asked"}, headers=as_coordinator)
    [step] = (await http.get(f"{one}/logistics", headers=both)).json()["history"]
    assert (step["by"], step["role"]) == ("somebody", "coordinator")


async def test_an_answer_that_was_given_to_a_role_is_not_repeated_for_another_one(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    both = bearer(issuer, Role.COORDINATOR, Role.RESIDENT) | {"Idempotency-Key": "today-1"}
    asked = await http.post(
        "/referrals/referrals", json=a_request(), headers=both | {"Acting-Role": "coordinator"}
    )
    assert asked.status_code == 201
    again = await http.post(
        "/referrals/referrals", json=a_request(), headers=both | {"Acting-Role": "resident"}
    )
    assert asked.json()["id"] not in again.text
