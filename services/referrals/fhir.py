"""A referral as FHIR R4 (4.0.1): a ServiceRequest and the Task that tracks it, in one Bundle.

`fhir.resources` has models of R4B and not of R4; R4B changed neither of these resources nor the types they
use, so its models hold for both. They check elements, types and cardinalities, but not the codes of required
value sets: those are closed here (`states.TASK_STATUS`, `_REQUEST_STATUS`, `Urgency`), and tested against the
published lists. http://hl7.org/fhir/R4/servicerequest.html, http://hl7.org/fhir/R4/task.html
"""

from collections.abc import Mapping
from typing import Any

from fhir.resources.R4B.bundle import Bundle

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


def export(referral: Referral) -> bytes:
    """The Bundle as JSON. `referral` must be opened. Raises ValidationError: then it is not R4."""
    base = f"{settings().public_url.rstrip('/')}/referrals/fhir"
    resources = (_service_request(referral, base), _task(referral, base))
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


def _service_request(referral: Referral, base: str) -> dict[str, Any]:
    reason = {"reasonCode": [{"text": referral.summary}]} if referral.summary else {}
    notes = [f"delayed since {referral.delayed_since.isoformat()}"]
    notes += [referral.opinion] if referral.opinion else []
    return {
        "resourceType": "ServiceRequest",
        "id": referral.id,
        "identifier": [{"system": f"{base}/referral", "value": referral.id}],
        "status": _REQUEST_STATUS.get(referral.state, "active"),
        "intent": "order",
        "priority": referral.urgency,
        "code": {"text": DEPARTMENTS[referral.department].name},
        "subject": _patient(referral),
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
        "basedOn": [{"reference": f"ServiceRequest/{referral.id}"}],
        "focus": {"reference": f"ServiceRequest/{referral.id}"},
        "for": _patient(referral),
        "authoredOn": referral.requested_at.isoformat(),
        "lastModified": _last_modified(referral),
        "owner": _department(referral, base),
        **reason,
        **until,
    }


def _patient(referral: Referral) -> dict[str, str]:
    return {"reference": f"Patient/{referral.patient}"}


def _department(referral: Referral, base: str) -> dict[str, Any]:
    return {
        "type": "Organization",
        "identifier": {"system": f"{base}/department", "value": referral.department},
        "display": DEPARTMENTS[referral.department].name,
    }


def _last_modified(referral: Referral) -> str:
    return (referral.history[-1].at if referral.history else referral.requested_at).isoformat()
