"""The referral dashboard: for those who answer for the green channel."""

from fastapi import APIRouter

from services.notifier.domain.referral_board import ReferralBoard
from services.notifier.queries.referral_board import read_board
from shared.service import StoreDep

from .callers import Watching

router = APIRouter(prefix="/dashboards/referrals", tags=["dashboards"])


@router.get("", summary="绿色通道看板 / Queue, waiting time, outcomes")
async def referral_dashboard(_: Watching, store: StoreDep) -> ReferralBoard:
    """Groups of fewer than five people are merged or left out, and cannot be worked out from the rest."""
    return await read_board(store)
