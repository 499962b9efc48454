"""Reviews: the pledges that a reviewer counts or strikes out."""

from typing import Annotated

from services.pledges import queries
from services.pledges.domain.pledge import Pledge
from services.pledges.domain.reasons import Why
from services.pledges.lookups import Lookups
from shared.http.access import reaches
from shared.http.callers import Officer
from shared.http.change import Change, reached
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.routes import Body, Router
from shared.http.views import GivenId
from shared.model.clock import now
from shared.model.workflow import Actor

from .signings import count
from .views import PledgeRecord, PledgeView

router = Router(tags=["reviews"])
Pledges = Annotated[Listing[Pledge], listed(Pledge, day="created_at", own=True, without=["state"])]


class Rejection(Body):
    """Why it is struck out."""

    reason: Why


@router.get("/reviews", summary="待审核的承诺 / The reviewer's queue, oldest first")
async def reviews(caller: Officer, page: Pledges, campaign_id: GivenId | None = None) -> Page[PledgeRecord]:
    return await page(queries.to_review(caller, campaign_id), [("created_at", 1)], PledgeRecord.of)


@router.get("/reviews/{pledge_id}", summary="承诺及其办理记录 / A pledge with its history")
async def review(pledge_id: str, caller: Officer, store: StoreDep) -> PledgeRecord:
    return PledgeRecord.of(await reached(store, caller, Pledge, pledge_id))


@router.post("/reviews/{pledge_id}/count", summary="审核通过并计入接龙 / Count a held pledge")
async def count_held(pledge_id: str, caller: Officer, change: Change) -> PledgeView:
    async with Lookups.of(change.store).alone(pledge_id):
        pledge = await change.load(Pledge, pledge_id)
        pledge.check("count")
        return await count(
            change.store, pledge, lambda other: reaches(caller, other.division), Actor.of(caller)
        )


@router.post("/reviews/{pledge_id}/invalidate", summary="作废承诺 / Strike a pledge out")
async def invalidate(pledge_id: str, body: Rejection, caller: Officer, change: Change) -> PledgeView:
    by = Actor.of(caller)
    return await change(Pledge, pledge_id, lambda p: p.invalidate(body.reason, now(), by), PledgeView.of)
