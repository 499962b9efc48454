"""Check-ins: a household reports today."""

from datetime import date, timedelta
from typing import Annotated

from services.pledges.domain.checkin import CheckIn, DoneToday, check_in_id
from services.pledges.lookups import Lookups
from shared.city.days import day_bounds, local_day
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.routes import Router
from shared.http.views import DocumentView
from shared.model.clock import now
from shared.model.problems import AlreadyExists

from .callers import Holder, Proven, held_pledge

router = Router(prefix="/signings/{pledge_id}/check-ins", tags=["check-ins"])
CheckIns = Annotated[Listing[CheckIn], listed(CheckIn)]


class CheckInView(DocumentView):
    """`streak` counts days in a row; `to_go` until the next 21 are complete (0: with this day)."""

    pledge_id: str
    day: date
    streak: int
    completes: bool
    to_go: int


@router.post("", status_code=201, summary="今日打卡 / Check in today")
async def check_in(pledge_id: str, _: Holder, proof: Proven, store: StoreDep) -> CheckInView:
    at = now()
    today = local_day(at)
    pledge = await held_pledge(store, proof, pledge_id)
    await Lookups.of(store).check_open(pledge.campaign_id)
    yesterday = await store.find(CheckIn, check_in_id(pledge_id, today - timedelta(days=1)))
    done = CheckIn.done(pledge, today, yesterday, at)
    try:
        return await store.commit(done, CheckInView.of)
    except AlreadyExists as taken:
        if taken.index != "_id":
            raise
        raise DoneToday(next_at=day_bounds(today)[1]) from None


@router.get("", summary="打卡记录 / The days a household checked in, newest first")
async def list_check_ins(pledge_id: str, _: Holder, proof: Proven, page: CheckIns) -> Page[CheckInView]:
    await held_pledge(page.store, proof, pledge_id)
    return await page({"pledge_id": pledge_id}, [("day", -1)], CheckInView.of)
