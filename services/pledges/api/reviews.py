"""Reviews: the pledges that a reviewer counts or strikes out."""

from typing import Annotated

from fastapi import Query, Response

from services.pledges import queries
from services.pledges.domain.pledge import Pledge
from services.pledges.domain.reasons import Why
from services.pledges.lookups import Lookups
from shared.http.access import Caller, reaches
from shared.http.parameters import IfMatch, StoreDep
from shared.http.routes import Body, Router
from shared.http.views import GivenId, tagged
from shared.model.clock import now
from shared.model.workflow import Actor
from shared.store.store import Store

from .callers import Officer, known, responsible_for
from .signings import count
from .views import PledgeRecord, PledgeView

router = Router(tags=["reviews"])


class Rejection(Body):
    """Why it is struck out."""

    reason: Why


@router.get("/reviews", summary="待审核的承诺 / The reviewer's queue, oldest first")
async def reviews(
    caller: Officer,
    store: StoreDep,
    campaign_id: GivenId | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[PledgeRecord]:
    found = await queries.to_review(store, campaign_id, responsible_for(caller), limit)
    return [PledgeRecord.of(pledge) for pledge in found]


@router.get("/reviews/{pledge_id}", summary="承诺及其办理记录 / A pledge with its history")
async def review(pledge_id: str, caller: Officer, store: StoreDep, response: Response) -> PledgeRecord:
    return tagged(response, PledgeRecord.of(await _theirs(store, caller, pledge_id)))


@router.post("/reviews/{pledge_id}/count", summary="审核通过并计入接龙 / Count a held pledge")
async def count_held(
    pledge_id: str, caller: Officer, store: StoreDep, response: Response, if_match: IfMatch = None
) -> PledgeView:
    await _theirs(store, caller, pledge_id)
    async with Lookups.of(store).alone(pledge_id):
        pledge = await store.load(Pledge, pledge_id, if_match=if_match)
        pledge.check("count")
        view = await count(store, pledge, lambda other: reaches(caller, other.division), Actor.of(caller))
        return tagged(response, view)


@router.post("/reviews/{pledge_id}/invalidate", summary="作废承诺 / Strike a pledge out")
async def invalidate(
    pledge_id: str,
    body: Rejection,
    caller: Officer,
    store: StoreDep,
    response: Response,
    if_match: IfMatch = None,
) -> PledgeView:
    await _theirs(store, caller, pledge_id)
    view = await store.change(
        Pledge,
        pledge_id,
        lambda pledge: pledge.invalidate(body.reason, now(), Actor.of(caller)),
        PledgeView.of,
        if_match=if_match,
    )
    return tagged(response, view)


async def _theirs(store: Store, caller: Caller, pledge_id: str) -> Pledge:
    return await known(store, caller, Pledge, pledge_id, lambda pledge: pledge.division)
