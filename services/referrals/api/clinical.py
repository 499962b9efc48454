"""What the department does: look, take or decline, offer a bed, consult, finish; and in an emergency, look
at another department's patient.
"""

from typing import Annotated

from services.referrals import queries
from services.referrals.domain.reading import View
from services.referrals.domain.referral import QUEUE_ORDER, Referral
from services.referrals.domain.states import DEPARTMENT, Urgency
from services.referrals.opening import open_record
from shared.http.callers import Clinician
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.routes import Body, Router
from shared.http.views import GivenDay
from shared.model.problems import NotFound

from .asking import Reasoned
from .callers import department_of, emergency_of, reads
from .handling import At
from .views import Clinical, ClinicalView, StepView

router = Router(tags=["clinical"])
Waiting = Annotated[
    Listing[Referral], listed(Referral, open_to="患者来自全市 / patients come from all counties")
]


class Acceptance(Body):
    """The department's own class, where it is another than the coordinator's, and its opinion."""

    urgency: Urgency | None = None
    opinion: Clinical | None = None


class Declining(Reasoned):
    """Why, and the department's opinion."""

    opinion: Clinical | None = None


class Offer(Body):
    """The day (Asia/Shanghai) on which she is to come."""

    admission_day: GivenDay


class Opinion(Body):
    """What the department found."""

    opinion: Clinical | None = None


@router.get("/queues/department", summary="科室工作队列 / The department's work, in triage order")
async def department_queue(caller: Clinician, page: Waiting) -> Page[StepView]:
    return await page(queries.queue_of(DEPARTMENT, department_of(caller)), QUEUE_ORDER, StepView.of)


@router.get("/referrals/{referral_id}/clinical", summary="病情资料 / What she has")
async def clinical(referral_id: str, caller: Clinician, store: StoreDep) -> ClinicalView:
    referral = await store.find(Referral, referral_id)
    if referral is None:
        raise NotFound(kind=Referral.collection)
    grant = None if reads(caller, referral) else await emergency_of(store, caller, referral)
    slot = await open_record(store, caller, referral, View.CLINICAL, grant)
    return ClinicalView.opened(referral, slot)


@router.post("/referrals/{referral_id}/accept", summary="接收 / Take the patient")
async def accept(body: Acceptance, caller: Clinician, at: At) -> StepView:
    return await at.change(
        caller,
        lambda referral, now, by: referral.accept(body.urgency, body.opinion, now, by),
        opened=body.opinion is not None,
    )


@router.post("/referrals/{referral_id}/decline", summary="不接收 / Decline the patient")
async def decline(body: Declining, caller: Clinician, at: At) -> StepView:
    return await at.change(
        caller,
        lambda referral, now, by: referral.decline(body.why, body.opinion, now, by),
        opened=body.opinion is not None,
    )


@router.post("/referrals/{referral_id}/offer-bed", summary="提供床位 / Keep a bed for her")
async def offer_bed(body: Offer, caller: Clinician, at: At) -> StepView:
    return await at.offer_bed(caller, body.admission_day)


@router.post("/referrals/{referral_id}/admit", summary="入院 / She is in the ward")
async def admit(caller: Clinician, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.admit(now, by))


@router.post("/referrals/{referral_id}/consult", summary="完成会诊 / The consult took place")
async def consult(body: Opinion, caller: Clinician, at: At) -> StepView:
    return await at.consult(caller, body.opinion)


@router.post("/referrals/{referral_id}/complete", summary="办结 / She got what she was referred for")
async def complete(body: Opinion, caller: Clinician, at: At) -> StepView:
    return await at.change(
        caller,
        lambda referral, now, by: referral.complete(body.opinion, now, by),
        opened=body.opinion is not None,
    )
