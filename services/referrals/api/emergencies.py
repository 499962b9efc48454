"""Breaking the glass: a record is opened in an emergency, with a reason, and the data officer reviews it."""

from typing import Annotated

from services.referrals import queries
from services.referrals.domain.reading import Grant, GrantState, NotNeeded, View
from services.referrals.domain.referral import Referral
from services.referrals.opening import record
from shared import security_log
from shared.http.callers import Clinician, DataOfficer
from shared.http.change import Change
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.reach import open_to_all
from shared.http.routes import Body, Router
from shared.model.clock import now
from shared.model.problems import NotFound
from shared.model.text import Lines
from shared.model.workflow import Actor
from shared.security_log import Kind
from shared.store.attempts import repeated

from .callers import reads
from .views import GrantView, ReasonedGrantView

router = Router(tags=["emergencies"])
Grants = Annotated[
    Listing[Grant],
    listed(Grant, day="at", open_to="全市 / the data officer answers for the whole city", without=["state"]),
]


class Emergency(Body):
    """Why the record must be read now. Sealed; the patient and the data officer see it."""

    reason: Annotated[str, Lines(500, least=10)]


class Finding(Body):
    """Whether it was an emergency."""

    justified: bool


@router.post("/referrals/{referral_id}/break-glass", status_code=201, summary="紧急查阅 / Break the glass")
async def break_glass(
    referral_id: Annotated[str, open_to_all("紧急查阅他科患者，须审核 / another department's, and reviewed")],
    body: Emergency,
    caller: Clinician,
    store: StoreDep,
) -> GrantView:
    referral = await store.find(Referral, referral_id)
    if referral is None or not referral.emergency_possible:
        raise NotFound(kind=Referral.collection)
    if reads(caller, referral):
        raise NotNeeded()

    @repeated("numbers")
    async def once() -> GrantView:
        last = await queries.last_grant(store, referral_id, caller.id)
        grant = Grant.broken(referral, body.reason, Actor.of(caller), now(), last)
        return await store.commit(grant, GrantView.of)

    view = await once()
    security_log.record(Kind.BREAK_GLASS, grant=view.id)
    return view


@router.get("/emergencies", summary="待审核的紧急查阅 / The data officer's queue, oldest first")
async def to_review(_: DataOfficer, page: Grants) -> Page[GrantView]:
    return await page({"state": GrantState.OPEN}, [("at", 1)], GrantView.of)


@router.get("/emergencies/{grant_id}", summary="紧急查阅及其理由 / An emergency and its reason")
async def read_emergency(grant_id: str, caller: DataOfficer, store: StoreDep) -> ReasonedGrantView:
    grant = await store.load(Grant, grant_id)
    await record(store, caller, grant.referral_id, View.REVIEW, grant)
    await store.unseal(grant)
    return ReasonedGrantView.of(grant)


@router.post("/emergencies/{grant_id}/review", summary="审核紧急查阅 / Find whether it was one")
async def review(grant_id: str, body: Finding, caller: DataOfficer, change: Change) -> GrantView:
    by = Actor.of(caller)
    return await change(
        Grant, grant_id, lambda g: g.review(justified=body.justified, now=now(), by=by), GrantView.of
    )
