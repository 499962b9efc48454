"""What a patient does: ask, look, answer an offer, take it back, be forgotten."""

from typing import Annotated

from pydantic import AfterValidator

from services.referrals.domain.reading import View
from services.referrals.domain.referral import PATIENT, Referral
from services.referrals.domain.states import Why
from services.referrals.opening import open_record, read_by
from services.referrals.patients import account_key, phone_key
from shared.city.departments import Department
from shared.city.divisions import DivisionCode
from shared.http.access import Role
from shared.http.callers import Resident
from shared.http.change import reached
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.persons import erase_keys
from shared.http.proofs import account_key as known_as
from shared.http.reach import open_to_all
from shared.http.routes import Body, Router
from shared.http.views import Consent, GivenDay
from shared.model.clock import now
from shared.model.names import Name
from shared.model.text import Phone
from shared.model.workflow import Actor

from .callers import Asking, Erasing
from .handling import At
from .views import Clinical, PatientView, ReadingView, StepView, a_county

router = Router(tags=["asking"])
Referrals = Annotated[Listing[Referral], listed(Referral, open_to="她自己的 / only her own are listed")]


class Request(Body):
    """What is needed and no more. Both consents are asked for separately, and both are needed."""

    department: Annotated[Department, open_to_all("任一科室均可申请 / she may ask for either")]
    county: Annotated[DivisionCode, AfterValidator(a_county), open_to_all("全市患者 / wherever she lives")]
    name: Name
    phone: Phone
    delayed_since: GivenDay
    summary: Clinical
    health_consent: Consent
    """To the use of her health data for this referral (PIPL, article 29)."""
    hospital_consent: Consent
    """To their being given to the department (PIPL, article 23)."""


class Reasoned(Body):
    """Why, as a code."""

    why: Why


@router.post("/referrals", status_code=201, summary="申请绿色通道 / Ask for a referral")
async def ask(body: Request, caller: Asking, store: StoreDep) -> StepView:
    own = caller.role is Role.RESIDENT
    referral = Referral.requested(
        Actor.of(caller, PATIENT),
        now(),
        patient=await store.vault.new_person(),
        patient_key=account_key(store, caller) if own else phone_key(store, body.phone),
        account=known_as(store.vault.blind_index, caller) if own else None,
        division=body.county,
        **body.model_dump(include={"department", "name", "phone", "delayed_since", "summary"}),
    )
    return await store.commit(referral, StepView.of)


@router.get("/referrals", summary="我的转诊 / The caller's own referrals, newest first")
async def own(caller: Resident, page: Referrals) -> Page[StepView]:
    own = {"patient_key": account_key(page.store, caller)}
    return await page(own, [("requested_at", -1)], StepView.of)


@router.get("/referrals/{referral_id}", summary="转诊详情及查阅记录 / The whole of it, and who read it")
async def read_own(referral_id: str, caller: Resident, store: StoreDep) -> PatientView:
    referral = await reached(store, caller, Referral, referral_id)
    slot = await open_record(store, caller, referral, View.PATIENT)
    readings, grants = await read_by(store, referral_id)
    shown = [ReadingView.of(reading, grants) for reading in readings]
    return PatientView.opened(referral, slot, shown)


@router.post("/referrals/{referral_id}/confirm-offer", summary="确认入院 / Take the bed that is offered")
async def confirm_offer(caller: Asking, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.confirm_offer(now, by))


@router.post("/referrals/{referral_id}/cancel", summary="撤回申请 / Take it back")
async def cancel(body: Reasoned, caller: Asking, at: At) -> StepView:
    return await at.change(caller, lambda referral, now, by: referral.cancel(body.why, now, by))


@router.post("/referrals/{referral_id}/erase", summary="撤回同意并删除个人信息 / Be forgotten")
async def erase(referral_id: str, caller: Erasing, at: At) -> StepView:
    referral = await at.one.load(Referral, referral_id)
    await erase_keys(at.one.store, referral, Actor.of(caller, PATIENT))
    at.one.if_match = (
        None  # the keys are gone: whoever changed it meanwhile does not keep it from being marked
    )
    return await at.change(caller, lambda referral, now, by: referral.forget(now, by))
