"""A referral for other systems, as FHIR R4; what goes wrong is said in FHIR too."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.types import Receive, Scope, Send
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from services.referrals import fhir
from services.referrals.domain.reading import NoLongerRead, View
from services.referrals.domain.referral import Referral
from services.referrals.opening import open_record
from shared import security_log
from shared.http import answers
from shared.http.access import Role
from shared.http.change import reached
from shared.http.parameters import StoreDep
from shared.http.routes import JsonRoute
from shared.model.problems import Problem
from shared.security_log import Kind

from .callers import Exporting, reads

TYPES = (fhir.MEDIA_TYPE, "application/json")
_SERVED = [f"{kind}{more}" for kind in TYPES for more in ("", "; fhirVersion=4.0", "; charset=utf-8")]
"""What may be asked for, best first. http://hl7.org/fhir/R4/http.html#mime-type"""


class NotAcceptable(Problem):
    """`Accept` names no format that we have; `served` names ours."""

    status, type, title, title_en = 406, "not-acceptable", "没有所要求的格式", "Not available in this format"


class FhirRoute(JsonRoute):
    """A route whose problems are answered as FHIR's OperationOutcome."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[answers.RENDERER] = _outcome
        await super().handle(scope, receive, send)


def _outcome(problem: Problem) -> Response:
    body = fhir.outcome(problem)
    return Response(body, problem.status, headers=problem.headers, media_type=fhir.MEDIA_TYPE)


def _format(request: Request) -> str:
    asked = ",".join(request.headers.getlist("Accept"))
    best = parse_accept_header(asked, MIMEAccept).best_match(_SERVED) if asked else fhir.MEDIA_TYPE
    if best is None:
        raise NotAcceptable(served=TYPES)
    return best


Format = Annotated[str, Depends(_format)]
"""The format that the caller's `Accept` likes best of ours. Raises NotAcceptable."""

router = APIRouter(tags=["clinical"], route_class=FhirRoute)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {"schema": {"type": "object"}} for kind in TYPES}},
    406: {"description": "Not available in this format", "content": {fhir.MEDIA_TYPE: {}}},
}


@router.get(
    "/referrals/{referral_id}/fhir",
    summary="FHIR R4 导出 / Patient, ServiceRequest and Task",
    response_class=Response,
    responses=_RESPONSES,
)
async def export(referral_id: str, caller: Exporting, kind: Format, store: StoreDep) -> Response:
    referral = await reached(store, caller, Referral, referral_id)
    if caller.role is Role.CLINICIAN and not reads(caller, referral):
        raise NoLongerRead(state=referral.state)
    await open_record(store, caller, referral, View.FHIR)
    security_log.record(Kind.EXPORT)
    headers = {"ETag": referral.etag, "Vary": "Accept"}
    return Response(fhir.export(referral), media_type=kind, headers=headers)
