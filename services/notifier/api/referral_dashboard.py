"""The referral dashboard: for those who answer for the green channel."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sse_starlette import EventSourceResponse

from services.notifier.domain.referral_board import ReferralBoard
from services.notifier.live_referrals import LiveReferrals, follow
from services.notifier.pages import pages
from services.notifier.queries.referral_board import read_board
from shared.divisions import counties
from shared.service import StoreDep

from .callers import Opening, Watching

router = APIRouter(prefix="/dashboards/referrals", tags=["dashboards"])


async def _live(request: Request, store: StoreDep) -> LiveReferrals:
    """This process's live board: made when first asked for."""
    state = request.app.state
    if not hasattr(state, "live_referrals"):
        state.live_referrals = LiveReferrals(store)
    live: LiveReferrals = state.live_referrals
    return live


@router.get("", summary="绿色通道看板 / Queue, waiting time, outcomes")
async def referral_dashboard(_: Watching, store: StoreDep) -> ReferralBoard:
    """Groups of fewer than five people are merged or left out, and cannot be worked out from the rest."""
    return await read_board(store)


@router.get("/stream", response_class=EventSourceResponse, summary="看板实时推送 / The same, live")
async def referral_stream(_: Watching, live: Annotated[LiveReferrals, Depends(_live)]) -> EventSourceResponse:
    """Server-sent events: `snapshot` at once and whenever a figure changes, `heartbeat` in between."""
    shown = await live.latest()  # 503 here and now, while there still is a status to answer with
    return EventSourceResponse(follow(live, shown), ping=0)


@router.get("/page", response_class=HTMLResponse, summary="看板页面 / The same, for people")
async def referral_page(_: Opening) -> HTMLResponse:
    """Without a figure: whoever opens it brings the token that the stream asks for."""
    shown = pages.render("referrals.html", counties={county.code: county.name for county in counties()})
    return HTMLResponse(shown)
