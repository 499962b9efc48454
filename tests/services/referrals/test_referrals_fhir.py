"""The export holds against the published definitions of FHIR R4."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.patient import Patient
from fhir.resources.R4B.servicerequest import ServiceRequest
from fhir.resources.R4B.task import Task
from fhirclient.models import bundle, operationoutcome, patient, servicerequest, task
from fhirclient.models.fhirabstractbase import FHIRValidationError
from pydantic import ValidationError

from services.referrals import fhir
from services.referrals.domain.referral import HERSELF, Referral
from services.referrals.domain.states import TASK_STATUS, ReferralState, Urgency, Why
from shared.city.departments import Department
from shared.model.workflow import Transition
from tests.services.referrals.desk import NAME, OPINION, PHONE, SUMMARY, Desk, Who

NOW = datetime(2020, 3, 8, 1, 2, 3, 456000, UTC)
TASK_CODES = {
    "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold",
    "failed", "completed", "entered-in-error",
}  # fmt: skip
"""http://hl7.org/fhir/R4/valueset-task-status.html"""
REQUEST_CODES = {"draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"}
"""http://hl7.org/fhir/R4/valueset-request-status.html"""
PRIORITIES = {"routine", "urgent", "asap", "stat"}
"""http://hl7.org/fhir/R4/valueset-request-priority.html"""


def a_referral(state: ReferralState, department: Department = Department.BREAST) -> Referral:
    referral = Referral.requested(
        HERSELF,
        NOW,
        patient="0" * 32,
        department=department,
        division="330802",
        delayed_since=date(2020, 2, 1),
        name=NAME,
        phone=PHONE,
        summary=SUMMARY,
        opinion=OPINION,
        urgency=Urgency.URGENT,
    )
    step = Transition(move="x", source="x", target=state, at=NOW, by="c", why=Why.NO_CAPACITY)
    referral.history, referral.state, referral.deadline = [step], state, NOW + timedelta(days=1)
    return referral


def resources(state: ReferralState) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ServiceRequest and the Task."""
    _, request, tracking = resources_of(json.loads(fhir.export(a_referral(state))))
    return request, tracking


def resources_of(exported: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in exported["entry"]]


@pytest.mark.parametrize("state", ReferralState)
def test_every_state_exports_to_what_both_sets_of_models_take(state: ReferralState) -> None:
    exported = json.loads(fhir.export(a_referral(state)))
    Bundle.model_validate(exported)
    bundle.Bundle(exported)  # generated from the definitions of 4.0.1 by the SMART project
    request, tracking = resources(state)
    assert (request["resourceType"], tracking["resourceType"]) == ("ServiceRequest", "Task")
    assert tracking["status"] == TASK_STATUS[state]
    assert request["status"] in REQUEST_CODES and tracking["status"] in TASK_CODES
    assert request["priority"] == tracking["priority"] == "urgent"
    assert tracking["focus"]["reference"].endswith(f"/ServiceRequest/{request['id']}")
    assert request["subject"] == tracking["for"]
    assert request["subject"]["reference"].endswith(f"/Patient/{'0' * 32}")
    assert request["reasonCode"] == [{"text": SUMMARY}]


def references(value: Any) -> list[dict[str, Any]]:
    """Every Reference in a resource."""
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value] if "reference" in value or value.get("type") == "Organization" else []
    return own + [found for item in value.values() for found in references(item)]


def test_whatever_the_bundle_refers_to_is_in_it() -> None:
    exported = json.loads(fhir.export(a_referral(ReferralState.ACCEPTED)))
    assert exported["type"] == "collection"
    known = [entry["fullUrl"] for entry in exported["entry"]]
    assert len(set(known)) == 3
    for entry in exported["entry"]:
        resource = entry["resource"]
        assert entry["fullUrl"].endswith(f"/{resource['resourceType']}/{resource['id']}")
    found = references(exported)
    assert len(found) == 6
    for reference in found:  # a department is known by its identifier: it is no resource of ours
        assert reference.get("reference") in known or reference["identifier"]["value"] == "breast"
    taken = bundle.Bundle(exported)
    request, tracking = taken.entry[1].resource, taken.entry[2].resource
    assert request.subject.resolved(patient.Patient).id == "0" * 32
    assert tracking.for_fhir.resolved(patient.Patient).name[0].text == NAME
    assert tracking.focus.resolved(servicerequest.ServiceRequest) is request
    assert tracking.basedOn[0].resolved(servicerequest.ServiceRequest) is request


def test_the_patient_is_named_and_nobody_learns_how_to_reach_her() -> None:
    exported = fhir.export(a_referral(ReferralState.ACCEPTED)).decode()
    her = resources_of(json.loads(exported))[0]
    assert her.keys() == {"resourceType", "id", "identifier", "name"}
    assert her["name"] == [{"text": NAME}]
    assert PHONE not in exported


def test_who_was_erased_is_a_patient_without_a_name_and_still_holds() -> None:
    referral = a_referral(ReferralState.COMPLETED)
    referral.name = referral.phone = referral.summary = referral.opinion = None
    exported = json.loads(fhir.export(referral))
    Bundle.model_validate(exported)
    bundle.Bundle(exported)
    assert "name" not in resources_of(exported)[0]


CONTROLS = "".join(chr(code) for code in [*range(32), *range(127, 160)] if chr(code) not in "\t\r\n")


def test_control_characters_never_leave_whatever_was_stored() -> None:
    referral = a_referral(ReferralState.ACCEPTED)
    referral.summary = f"左乳{CONTROLS}肿块\r\n\t3厘米\ufffe\uffff　🩺 "
    referral.opinion, referral.name = "\0\a ", "王\0小\a明"
    exported = json.loads(fhir.export(referral))
    her, request, _ = resources_of(exported)
    assert request["reasonCode"] == [{"text": "左乳肿块\r\n\t3厘米　🩺"}]
    assert len(request["note"]) == 1, "of the opinion nothing is left"
    assert her["name"] == [{"text": "王小明"}]
    assert not set(json.dumps(exported, ensure_ascii=False)) & set(CONTROLS)


def test_the_codes_we_use_are_codes_of_r4() -> None:
    assert set(TASK_STATUS.values()) <= TASK_CODES
    assert set(Urgency) <= PRIORITIES


@pytest.mark.parametrize("gone", ["status", "intent", "subject"])
def test_the_models_refuse_a_request_that_lacks_what_r4_requires(gone: str) -> None:
    request, _ = resources(ReferralState.REQUESTED)
    del request[gone]
    with pytest.raises(ValidationError):
        ServiceRequest.model_validate(request)
    with pytest.raises(FHIRValidationError):
        servicerequest.ServiceRequest(request)


@pytest.mark.parametrize("foreign", [{"requestedPerformer": []}, {"doNotPerform": True}, {"intent": 7}])
def test_the_models_refuse_elements_of_r5_and_wrong_types(foreign: dict[str, Any]) -> None:
    _, tracking = resources(ReferralState.REQUESTED)
    with pytest.raises(ValidationError):
        Task.model_validate(tracking | foreign)
    with pytest.raises(FHIRValidationError):
        task.Task(tracking | foreign)


def test_r4b_and_r4_know_the_same_elements_of_all_three_resources() -> None:
    kinds = ((ServiceRequest, servicerequest.ServiceRequest), (Task, task.Task), (Patient, patient.Patient))
    for ours, published in kinds:
        r4 = {entry[1] for entry in published().elementProperties()}
        r4b = {field.alias for field in ours.model_fields.values() if field.alias}
        assert {name for name in r4 - r4b} == set()
        assert {name for name in r4b - r4 if not name.startswith("_")} <= {"fhir_comments", "resourceType"}


async def test_the_department_and_the_patient_export_and_it_is_recorded(desk: Desk) -> None:
    referral = await desk.triaged()
    answer = await desk.get(Who.BREAST, f"/referrals/{referral}/fhir")
    assert answer.headers["content-type"] == "application/fhir+json"
    _, request, tracking = resources_of(answer.json())
    assert (request["reasonCode"][0]["text"], tracking["status"]) == (SUMMARY, "received")
    assert (await desk.get(Who.PATIENT, f"/referrals/{referral}/fhir")).status_code == 200
    view = await desk.seen(Who.PATIENT, f"/referrals/{referral}")
    assert [(r["by"], r["view"]) for r in view["readings"]][1:] == [("patient", "fhir"), (Who.BREAST, "fhir")]


# ── what is asked for, and what goes wrong ───────────────────────────────────────────────────────────

JSON, FHIR_JSON = "application/json", "application/fhir+json"
ACCEPTED = {
    "*/*": FHIR_JSON,
    "": FHIR_JSON,
    FHIR_JSON: FHIR_JSON,
    JSON: JSON,
    "application/*;q=0.1": FHIR_JSON,
    "application/fhir+xml;q=1.0, application/fhir+json;q=1.0, application/json;q=0.9": FHIR_JSON,
    "application/fhir+xml, */*;q=0.1": FHIR_JSON,
    "application/json;q=0.5, application/fhir+json;q=0.4": JSON,
    "application/fhir+json;fhirVersion=4.0": "application/fhir+json; fhirVersion=4.0",
    "application/fhir+json;charset=UTF-8": "application/fhir+json; charset=utf-8",
}
REFUSED = (
    "application/fhir+xml",
    "text/html",
    "application/fhir+json;q=0",
    "application/fhir+json; fhirVersion=5.0",
    "nonsense",
)


def the_issue(answer: httpx.Response, status: int) -> dict[str, Any]:
    """What an OperationOutcome says, that both sets of models take."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, FHIR_JSON), answer.text
    outcome = answer.json()
    OperationOutcome.model_validate(outcome)
    operationoutcome.OperationOutcome(outcome)
    [issue] = outcome["issue"]
    assert issue["severity"] == "error" and " / " in issue["details"]["text"]
    return dict(issue)


async def test_a_format_that_we_have_is_given_and_every_other_is_406(desk: Desk) -> None:
    path = f"/referrals/referrals/{await desk.triaged()}/fhir"
    hers = desk.headers(Who.PATIENT)
    for accept, kind in ACCEPTED.items():
        answer = await desk.http.get(path, headers=hers | {"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind), accept
        assert answer.headers["vary"] == "Accept"
    for accept in REFUSED:
        answer = await desk.http.get(path, headers=hers | {"Accept": accept})
        issue = the_issue(answer, 406)
        assert issue["code"] == "not-supported" and FHIR_JSON in issue["diagnostics"], accept
    view = await desk.seen(Who.PATIENT, path.removeprefix("/referrals").removesuffix("/fhir"))
    assert [reading["view"] for reading in view["readings"]].count("fhir") == len(ACCEPTED), (
        "no other was read"
    )


async def test_what_goes_wrong_is_said_as_fhir_says_it(desk: Desk) -> None:
    path = f"/referrals/{await desk.triaged()}/fhir"
    nobody = await desk.http.get(f"/referrals{path}")
    assert the_issue(nobody, 401)["code"] == "login"
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    assert the_issue(await desk.get(Who.COORDINATOR, path), 403)["code"] == "forbidden"
    hidden = the_issue(await desk.get(Who.NEIGHBOUR, path), 404)
    assert hidden["code"] == "not-found" and hidden["details"]["coding"][0]["code"] == "not-found"
    assert the_issue(await desk.post(Who.PATIENT, path), 405)["code"] == "not-supported"
    database = desk.store.database
    await database.command("collMod", "readings", validator={"_id": "nothing fits"})
    unrecorded = await desk.get(Who.BREAST, path)
    assert the_issue(unrecorded, 503)["code"] == "transient"
    assert int(unrecorded.headers["retry-after"]) > 0
    assert SUMMARY not in unrecorded.text


async def test_a_fault_of_ours_is_said_so_too(desk: Desk) -> None:
    referral = await desk.triaged()
    damaged = {"$set": {"urgency": "of no version"}}
    await desk.store.database["referrals"].update_one({"_id": referral}, damaged)
    answer = await desk.get(Who.BREAST, f"/referrals/{referral}/fhir")
    assert the_issue(answer, 500)["code"] == "exception"


async def test_other_routes_go_on_saying_it_as_problems(desk: Desk) -> None:
    answer = await desk.get(Who.NEIGHBOUR, f"/referrals/{await desk.triaged()}")
    assert answer.headers["content-type"] == "application/problem+json"
