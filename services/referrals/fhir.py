"""A referral as FHIR R4 (4.0.1): the Patient, a ServiceRequest and the Task that tracks it, in one Bundle.

Each of them is referred to by the full URL of its entry, so that whoever has the Bundle finds all in there.
The Patient says what the department sees of her: her name, and not how to reach her.

`fhir.resources` has models of R4B and not of R4; R4B changed none of these resources, nor the types they
use, so its models hold for both. They check elements, types and cardinalities, but not the codes of required
value sets: those are closed here (`states.TASK_STATUS`, `_REQUEST_STATUS`, `Urgency`), and tested against the
published lists. http://hl7.org/fhir/R4/servicerequest.html, http://hl7.org/fhir/R4/task.html,
http://hl7.org/fhir/R4/patient.html, http://hl7.org/fhir/R4/bundle.html#references
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome

from shared.model.problems import TYPE_PREFIX, Problem
from shared.settings import settings

from .domain.departments import DEPARTMENTS
from .domain.referral import Referral
from .domain.states import TASK_STATUS, ReferralState

MEDIA_TYPE = "application/fhir+json"
S = ReferralState
_REQUEST_STATUS: Mapping[ReferralState, str] = {
    S.ON_HOLD: "on-hold",
    S.COMPLETED: "completed",
    S.DECLINED: "revoked",
    S.NOT_COMPLETED: "revoked",
    S.CANCELLED: "revoked",
    S.ENTERED_IN_ERROR: "entered-in-error",
}
"""http://hl7.org/fhir/R4/valueset-request-status.html; every other state is active."""


_ISSUE: Mapping[int, str] = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    410: "deleted",
    422: "invalid",
    429: "throttled",
    503: "transient",
}
"""http://hl7.org/fhir/R4/valueset-issue-type.html, by a problem's status; every other is an exception."""
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""A string of FHIR has no control character but tab and line ends (http://hl7.org/fhir/R4/datatypes.html#string),
and nothing that its XML form could not carry."""


def export(referral: Referral) -> bytes:
    """The Bundle as JSON. `referral` must be opened. Raises ValidationError: then it is not R4."""
    base = f"{settings().public_url.rstrip('/')}/referrals/fhir"
    resources = (_patient(referral, base), _service_request(referral, base), _task(referral, base))
    bundle = Bundle.model_validate(
        {
            "resourceType": "Bundle",
            "id": referral.id,
            "type": "collection",
            "timestamp": _last_modified(referral),
            "entry": [
                {"fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}", "resource": resource}
                for resource in resources
            ],
        }
    )
    return bundle.model_dump_json().encode()


def outcome(problem: Problem) -> bytes:
    """A problem as an OperationOutcome, in JSON."""
    issue: dict[str, Any] = {
        "severity": "error",
        "code": _ISSUE.get(problem.status, "exception"),
        "details": {
            "coding": [{"system": TYPE_PREFIX.rstrip("/"), "code": problem.type}],
            "text": f"{problem.title} / {problem.title_en}",
        },
    }
    told = [problem.detail or "", orjson.dumps(problem.facts).decode() if problem.facts else ""]
    if any(told):
        issue["diagnostics"] = " ".join(told).strip()
    return OperationOutcome.model_validate({"issue": [issue]}).model_dump_json().encode()


def _text(typed: str | None) -> str | None:
    """What somebody typed, as FHIR allows it; None where nothing is left."""
    return _FORBIDDEN.sub("", typed or "").strip() or None


def _service_request(referral: Referral, base: str) -> dict[str, Any]:
    summary, opinion = _text(referral.summary), _text(referral.opinion)
    reason = {"reasonCode": [{"text": summary}]} if summary else {}
    notes = [f"delayed since {referral.delayed_since.isoformat()}"]
    notes += [opinion] if opinion else []
    return {
        "resourceType": "ServiceRequest",
        "id": referral.id,
        "identifier": [{"system": f"{base}/referral", "value": referral.id}],
        "status": _REQUEST_STATUS.get(referral.state, "active"),
        "intent": "order",
        "priority": referral.urgency,
        "code": {"text": DEPARTMENTS[referral.department].name},
        "subject": _reference(base, "Patient", referral.patient),
        "authoredOn": referral.requested_at.isoformat(),
        "performer": [_department(referral, base)],
        "note": [{"text": note} for note in notes],
        **reason,
    }


def _task(referral: Referral, base: str) -> dict[str, Any]:
    why = referral.history[-1].why if referral.history else None
    reason = {"statusReason": {"coding": [{"system": f"{base}/why", "code": why}]}} if why else {}
    until = {"restriction": {"period": {"end": referral.deadline.isoformat()}}} if referral.deadline else {}
    return {
        "resourceType": "Task",
        "id": f"{referral.id}-task",
        "status": TASK_STATUS[referral.state],
        "businessStatus": {"coding": [{"system": f"{base}/state", "code": referral.state}]},
        "intent": "order",
        "priority": referral.urgency,
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "basedOn": [_reference(base, "ServiceRequest", referral.id)],
        "focus": _reference(base, "ServiceRequest", referral.id),
        "for": _reference(base, "Patient", referral.patient),
        "authoredOn": referral.requested_at.isoformat(),
        "lastModified": _last_modified(referral),
        "owner": _department(referral, base),
        **reason,
        **until,
    }


def _patient(referral: Referral, base: str) -> dict[str, Any]:
    name = _text(referral.name)
    return {
        "resourceType": "Patient",
        "id": referral.patient,
        "identifier": [{"system": f"{base}/patient", "value": referral.patient}],
        **({"name": [{"text": name}]} if name else {}),
    }


def _reference(base: str, kind: str, resource_id: str) -> dict[str, str]:
    return {"reference": f"{base}/{kind}/{resource_id}"}


def _department(referral: Referral, base: str) -> dict[str, Any]:
    return {
        "type": "Organization",
        "identifier": {"system": f"{base}/department", "value": referral.department},
        "display": DEPARTMENTS[referral.department].name,
    }


def _last_modified(referral: Referral) -> str:
    return (referral.history[-1].at if referral.history else referral.requested_at).isoformat()
