"""What the coordinator does: triage, call, arrange, let rest. Nothing clinical is shown."""

from typing import Annotated

from services.referrals import queries
from services.referrals.domain.reading import View
from services.referrals.domain.referral import QUEUE_ORDER, Referral
from services.referrals.domain.states import COORDINATOR, Urgency
from services.referrals.opening import open_record
from shared.http.callers import Coordinator
from shared.http.change import reached
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.reach import OwnDepartment
from shared.http.routes import Body, Router
from shared.http.views import GivenDay, GivenId

from .asking import Reasoned
from .callers import Concerned, Staff
from .handling import At
from .views import LogisticsView, StepView

router = Router(tags=["logistics"])
Waiting = Annotated[
    Listing[Referral], listed(Referral, open_to="全市 / the coordinator's work is that of all counties")
]


class Triage(Body):
    """How urgent it is."""

    urgency: Urgency


class Rest(Reasoned):
    """Why it rests, and until which day (Asia/Shanghai)."""

    until: GivenDay


class Booking(Body):
    """The consult slot."""

    slot_id: GivenId


@router.get("/queues/coordinator", summary="协调员工作队列 / The coordinator's work, in triage order")
async def coordinator_queue(
    _: Coordinator, page: Waiting, department: OwnDepartment | None = None
) -> Page[StepView]:
    return await page(queries.queue_of(COORDINATOR, department), QUEUE_ORDER, StepView.of)


@router.get("/referrals/{referral_id}/logistics", summary="联系与安排 / Whom to call, what is arranged")
async def logistics(referral_id: str, caller: Coordinator, store: StoreDep) -> LogisticsView:
    referral = await reached(store, caller, Referral, referral_id)
    slot = await open_record(store, caller, referral, View.LOGISTICS)
    return LogisticsView.opened(referral, slot)


@router.post("/referrals/{referral_id}/triage", summary="分诊 / Pass it on to the department")
async def triage(body: Triage, caller: Coordinator, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.triage(body.urgency, now, by))


@router.post("/referrals/{referral_id}/return-offer", summary="退回床位 / Give the offered bed back")
async def return_offer(body: Reasoned, caller: Concerned, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.return_offer(body.why, now, by))


@router.post("/referrals/{referral_id}/hold", summary="暂缓 / Let it rest until a day")
async def hold(body: Rest, caller: Staff, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.hold(body.why, body.until, now, by))


@router.post("/referrals/{referral_id}/resume", summary="恢复办理 / Let it go on")
async def resume(caller: Staff, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.resume(now, by))


@router.post("/referrals/{referral_id}/book-consult", summary="预约远程会诊 / Book a consult slot")
async def book_consult(body: Booking, caller: Staff, at: At) -> StepView:
    return await at.book(caller, body.slot_id)


@router.post("/referrals/{referral_id}/reschedule", summary="改约 / Move to another slot, in one step")
async def reschedule(body: Booking, caller: Staff, at: At) -> StepView:
    return await at.reschedule(caller, body.slot_id)


@router.post("/referrals/{referral_id}/release-consult", summary="取消会诊预约 / Give the slot back")
async def release_consult(body: Reasoned, caller: Concerned, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.release_consult(body.why, now, by))


@router.post("/referrals/{referral_id}/fail", summary="未能完成 / It came to nothing")
async def fail(body: Reasoned, caller: Staff, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.fail(body.why, now, by))


@router.post("/referrals/{referral_id}/enter-in-error", summary="误录 / It should never have been there")
async def enter_in_error(body: Reasoned, caller: Staff, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.enter_in_error(body.why, now, by))
