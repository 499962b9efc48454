"""The export holds against the published definitions of FHIR R4."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.servicerequest import ServiceRequest
from fhir.resources.R4B.task import Task
from fhirclient.models import bundle, servicerequest, task
from fhirclient.models.fhirabstractbase import FHIRValidationError
from pydantic import ValidationError
from referrals_desk import OPINION, SUMMARY, Desk, Who

from services.referrals import fhir
from services.referrals.domain.referral import HERSELF, Referral
from services.referrals.domain.states import TASK_STATUS, ReferralState, Urgency, Why
from shared.contracts.referrals import Department
from shared.workflow import Transition

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
        summary=SUMMARY,
        opinion=OPINION,
        urgency=Urgency.URGENT,
    )
    step = Transition(move="x", source="x", target=state, at=NOW, by="c", why=Why.NO_CAPACITY)
    referral.history, referral.state, referral.deadline = [step], state, NOW + timedelta(days=1)
    return referral


def resources(state: ReferralState) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ServiceRequest and the Task."""
    request, tracking = (entry["resource"] for entry in json.loads(fhir.export(a_referral(state)))["entry"])
    return request, tracking


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
    assert tracking["focus"]["reference"] == f"ServiceRequest/{request['id']}"
    assert request["subject"] == tracking["for"] == {"reference": f"Patient/{'0' * 32}"}
    assert request["reasonCode"] == [{"text": SUMMARY}]


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


def test_r4b_and_r4_know_the_same_elements_of_both_resources() -> None:
    for ours, published in ((ServiceRequest, servicerequest.ServiceRequest), (Task, task.Task)):
        r4 = {entry[1] for entry in published().elementProperties()}
        r4b = {field.alias for field in ours.model_fields.values() if field.alias}
        assert {name for name in r4 - r4b} == set()
        assert {name for name in r4b - r4 if not name.startswith("_")} <= {"fhir_comments", "resourceType"}


async def test_the_department_and_the_patient_export_and_it_is_recorded(desk: Desk) -> None:
    referral = await desk.triaged()
    answer = await desk.get(Who.BREAST, f"/referrals/{referral}/fhir")
    assert answer.headers["content-type"] == "application/fhir+json"
    request, tracking = (entry["resource"] for entry in answer.json()["entry"])
    assert (request["reasonCode"][0]["text"], tracking["status"]) == (SUMMARY, "received")
    assert (await desk.get(Who.PATIENT, f"/referrals/{referral}/fhir")).status_code == 200
    view = await desk.seen(Who.PATIENT, f"/referrals/{referral}")
    assert [(r["by"], r["view"]) for r in view["readings"]][1:] == [("patient", "fhir"), (Who.BREAST, "fhir")]
