"""What an answer that is no success says (RFC 9457; the FHIR export says it in an OperationOutcome)."""

import json
from typing import Any

import httpx

FHIR = "application/fhir+json"


def problem(answer: httpx.Response) -> str:
    """The slug of a problem's type; what is no problem fails the test."""
    if answer.headers["content-type"] == FHIR:
        return str(answer.json()["issue"][0]["details"]["coding"][0]["code"])
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["title"] and body["status"] == answer.status_code
    return str(body["type"]).rpartition("/")[2]


def facts(answer: httpx.Response) -> dict[str, Any]:
    """What a problem says beside its type and title; the FHIR export says it in its diagnostics."""
    body: dict[str, Any] = answer.json()
    if "issue" in body:
        told: str = body["issue"][0]["diagnostics"]
        return dict(json.loads(told[told.index("{") :]))
    return body
