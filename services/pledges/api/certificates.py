"""Certificates: to print, and to verify by anybody who scans the code."""

from datetime import date

from fastapi import Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from services.pledges import pages, queries
from services.pledges.domain.checkin import NotCounted
from services.pledges.domain.pledge import Pledge
from services.pledges.domain.states import PledgeState
from services.pledges.lookups import Lookups
from shared.city.divisions import path_name
from shared.http.parameters import StoreDep
from shared.http.routes import Router
from shared.model.names import mask_name
from shared.model.problems import NotFound
from shared.store.store import Store

from .callers import Anyone, Signer
from .views import certificate_url

router = Router(tags=["certificates"])

_UNLISTED = {"X-Robots-Tag": "noindex"}


class CertificateFacts(BaseModel):
    """What the public page says, for programs."""

    name: str
    community: str
    community_name: str
    serial: int
    day: date | None
    state: PledgeState
    valid: bool
    url: str


@router.get(
    "/signings/{pledge_id}/certificate",
    response_class=HTMLResponse,
    summary="承诺证书（可打印） / The certificate to print",
)
async def certificate(pledge_id: str, _: Signer, store: StoreDep) -> HTMLResponse:
    pledge = await store.load(Pledge, pledge_id)
    if not pledge.token:
        raise NotCounted(state=pledge.state, legal=pledge.legal)
    await store.unseal(pledge)
    campaign = await Lookups.of(store).campaign(pledge.campaign_id)
    page = pages.certificate(pledge, campaign, certificate_url(pledge.token))
    return HTMLResponse(page, headers=_UNLISTED)


@router.get("/certificates/{token}", response_class=HTMLResponse, summary="证书公开核验页 / The public page")
async def verification(token: str, _: Anyone, store: StoreDep) -> HTMLResponse:
    pledge = await _by_token(store, token)
    if pledge is None:
        return HTMLResponse(pages.missing(), status_code=404, headers=_UNLISTED)
    campaign = await Lookups.of(store).campaign(pledge.campaign_id)
    return HTMLResponse(pages.verification(pledge, campaign, certificate_url(token)), headers=_UNLISTED)


@router.get("/certificates/{token}/facts", summary="证书核验数据 / The same for programs")
async def facts(token: str, _: Anyone, store: StoreDep) -> CertificateFacts:
    pledge = await _by_token(store, token)
    if pledge is None:
        raise NotFound(kind="certificates")
    return CertificateFacts(
        name=mask_name(pledge.name),
        community=pledge.division,
        community_name=path_name(pledge.division),
        serial=pledge.serial,
        day=pledge.signed_day,
        state=pledge.state,
        valid=pledge.state is PledgeState.COUNTED,
        url=certificate_url(token),
    )


@router.get("/certificates/{token}/qr.svg", summary="证书二维码 / The QR code")
async def qr(token: str, _: Anyone, store: StoreDep) -> Response:
    if await _by_token(store, token) is None:
        raise NotFound(kind="certificates")
    svg = pages.qr_svg(certificate_url(token))
    return Response(svg, media_type="image/svg+xml", headers=_UNLISTED)


async def _by_token(store: Store, token: str) -> Pledge | None:
    pledge = await queries.by_token(store, token)
    if pledge is not None:
        await store.unseal(pledge)
    return pledge
