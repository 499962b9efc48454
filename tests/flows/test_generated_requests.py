"""Requests made up from the services' own OpenAPI documents: whatever comes, the answer is ours."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from jinguo.services import SERVICES
from shared.http.identity import Role
from tests.kit.problems import problem
from tests.kit.running import (
    COMMUNITY,
    SIGNING,
    a_campaign,
    a_form,
    a_request,
    bearer,
    flow_settings,
    serving,
)

EXAMPLES = 6
"""Requests per operation and mode. They are the same in every run."""
ENDLESS = "/dashboards/pledges/stream", "/dashboards/referrals/stream"
FOR_PEOPLE = "/certificates/{token}"
"""Its 404 is a page: who scans the code of a certificate reads no JSON."""

OFFICER = {"role": Role.CITY_OFFICER, "org": "city"}
CLINICIAN = {"role": Role.CLINICIAN, "org": None, "department": "breast"}
COORDINATOR, PATIENT = ({"role": role, "org": None} for role in (Role.COORDINATOR, Role.RESIDENT))
CALLERS = [(service.name, OFFICER) for service in SERVICES if service.name != "referrals"]
CALLERS += [("referrals", who) for who in (COORDINATOR, CLINICIAN, PATIENT)]
"""Who sends them: somebody whom most routes let in."""

bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
keys = st.none() | st.text(st.characters(codec="latin-1", categories=("L", "N", "P")), max_size=130)


@pytest.fixture(scope="module")
def url(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("generated")
    with serving(flow_settings(mongodb_uri, folder, command_timeout=30)) as url:
        yield url


@pytest.fixture(scope="module")
def known(url: str) -> dict[str, str]:
    """Parameters that exist, for requests to get past the 404."""
    with httpx.Client(base_url=f"{url}/pledges", timeout=30, headers=bearer(url) | SIGNING) as http:

        def made(path: str, body: dict[str, Any]) -> str:
            return str(http.post(path, json=body).raise_for_status().json()["id"])

        campaign = made("/campaigns", a_campaign())
        team = made(f"/campaigns/{campaign}/teams", {"division": COMMUNITY, "name": "一队"})
        preacher = {"name": "李春兰", "phone": "13900000001", "role": "preacher"}
        talk = {"title": "公筷", "starts_at": a_campaign()["closes_at"]}
        talk["preacher_id"] = made(f"/teams/{team}/members", preacher)
        decision = {"reason": "duplicate"}
        return {
            "campaign_id": campaign,
            "name": "王小明",  # chance makes up hardly any
            "community": COMMUNITY,
            "division": COMMUNITY,
            "pledge_id": made(f"/campaigns/{campaign}/pledges", a_form(1)),
            "team_id": team,
            "preacher_id": talk["preacher_id"],
            "member_id": talk["preacher_id"],
            "talk_id": made(f"/teams/{team}/talks", talk),
            "entry_id": made("/listed-phones", {"phone": "13900000002", "kind": "block", **decision}),
            "job_id": made("/invalidations", {"condition": {"campaign_id": campaign}, **decision}),
            **a_referral(url),
        }


def a_referral(url: str) -> dict[str, str]:
    """A patient in the queue, and a consult slot."""
    with httpx.Client(base_url=f"{url}/referrals", timeout=30) as http:

        def made(caller: dict[str, Any], path: str, body: dict[str, Any]) -> str:
            answer = http.post(path, json=body, headers=bearer(url, **caller))
            return str(answer.raise_for_status().json()["id"])

        referral = made(PATIENT, "/referrals", a_request())
        made(COORDINATOR, f"/referrals/{referral}/triage", {"urgency": "routine"})
        made(CLINICIAN, f"/referrals/{referral}/accept", {})
        slot = {
            "starts_at": a_campaign()["closes_at"],
            "minutes": 30,
            "link": "https://consult.example.com/1",
        }
        slot_id = made(CLINICIAN, "/departments/breast/slots", slot)
        return {"referral_id": referral, "slot_id": slot_id, "department": "breast"}


@pytest.mark.parametrize(("name", "caller"), CALLERS)
def test_no_request_is_answered_by_a_server_error_or_without_a_problem_document(
    url: str, known: dict[str, str], name: str, caller: dict[str, Any]
) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/{name}/openapi.json").exclude(path=list(ENDLESS))
    statuses: set[int] = set()
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(bearer(url, **caller))

        def send(case: Case) -> None:
            answer = case.call(base_url=f"{url}/{name}", session=session, timeout=60)
            statuses.add(answer.status_code)
            check(case, answer)

        for found in schema.get_all_operations():
            operation = found.ok()
            for mode in GenerationMode:
                # What is no more than text in a path or a header cannot be of a wrong type.
                if mode is GenerationMode.POSITIVE or operation.body or operation.query:
                    attempt(operation.as_strategy(generation_mode=mode), known, send)
    assert statuses & {200, 201} and statuses & {404, 422}, statuses


def attempt(cases: st.SearchStrategy[Case], known: dict[str, str], send: Callable[[Case], None]) -> None:
    @bounded
    @given(case=cases, real=st.booleans(), key=keys)
    def generated(case: Case, real: bool, key: str | None) -> None:
        if real:
            case.path_parameters = known_in(case.path_parameters, known)
            case.body = known_in(case.body, known)
        if key is not None:
            case.headers["Idempotency-Key"] = key
        send(case)

    generated()


def known_in(values: Any, known: dict[str, str]) -> Any:
    """`values` with what is known put into its fields."""
    if not isinstance(values, dict):
        return values
    return {name: known.get(name, value) for name, value in values.items()}


def check(case: Case, answer: schemathesis.Response) -> None:
    told = f"{case.as_curl_command()}\n{answer.status_code} {answer.text[:500]}"
    assert answer.status_code < 500, told
    if answer.status_code < 400 or (case.path == FOR_PEOPLE and answer.status_code == 404):
        return
    problem = answer.json()
    if case.path.endswith("/fhir") and answer.headers["content-type"] == ["application/fhir+json"]:
        assert problem["resourceType"] == "OperationOutcome", told
        return
    assert answer.headers["content-type"] == ["application/problem+json"], told
    assert problem["type"] and problem["title"], told


# ── values at the ends of their types, which chance seldom finds ─────────────────────────────────


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_instants_that_no_calendar_of_ours_holds_are_refused_by_name(url: str, instant: str) -> None:
    for name in ("opens_at", "closes_at"):
        refused(
            f"body.{name}",
            httpx.post(f"{url}/pledges/campaigns", json=a_campaign() | {name: instant}, headers=bearer(url)),
        )


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_days_of_referrals_that_are_out_of_range_are_refused(
    url: str, known: dict[str, str], day: str
) -> None:
    base, headers = f"{url}/referrals/referrals", bearer(url, **CLINICIAN)
    for command, body in (("offer-bed", {"admission_day": day}), ("hold", {"why": "other", "until": day})):
        answer = httpx.post(f"{base}/{known['referral_id']}/{command}", json=body, headers=headers)
        assert answer.status_code in (409, 422), answer.text


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_days_that_no_calendar_of_ours_holds_are_refused_by_name(url: str, day: str) -> None:
    for name in ("from_day", "to_day"):
        body = {"condition": {name: day}, "reason": "duplicate"}
        refused(
            f"body.condition.{name}",
            httpx.post(f"{url}/pledges/invalidations", json=body, headers=bearer(url)),
        )


def test_a_number_that_the_database_cannot_hold_is_refused_by_name(url: str, known: dict[str, str]) -> None:
    chain = f"{url}/pledges/campaigns/{known['campaign_id']}/chains/{COMMUNITY}"
    refused("query.after", httpx.get(chain, params={"after": 2**63}))


def refused(field: str, answer: httpx.Response) -> None:
    assert answer.status_code == 422
    assert problem(answer) == "invalid-request"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
