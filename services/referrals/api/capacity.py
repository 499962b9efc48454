"""Beds and consult slots of a department."""

from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field

from services.referrals import changes, queries
from services.referrals.domain.slot import Slot, SlotState
from services.referrals.domain.ward import MOST_BEDS
from shared.city.departments import Department
from shared.http.callers import Clinician
from shared.http.change import Change
from shared.http.links import PublicLink
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.reach import OwnDepartment
from shared.http.routes import Body, Router
from shared.http.views import DocumentView, Instant
from shared.model.clock import now
from shared.model.workflow import Actor
from shared.store.attempts import repeated

from .asking import Reasoned
from .callers import Staff
from .views import SlotView

router = Router(tags=["capacity"])
Slots = Annotated[Listing[Slot], listed(Slot, day="starts_at")]


class Beds(Body):
    """How many beds there are for the channel: a standing number."""

    beds: Annotated[int, Field(ge=0, le=MOST_BEDS)]


class WardView(DocumentView):
    """The number of beds."""

    beds: int


class FreeBeds(BaseModel):
    """The number of beds, and how many of them are kept for somebody."""

    department: Department
    beds: int
    taken: int
    free: int


class NewSlot(Body):
    """A time for a remote consult, and where to meet."""

    starts_at: Instant
    minutes: Annotated[int, Field(ge=5, le=240)]
    link: PublicLink


@router.get("/departments/{department}/beds", summary="床位 / The beds, and how many are free")
async def beds(department: OwnDepartment, _: Staff, store: StoreDep) -> FreeBeds:
    ward = await queries.ward_of(store, department)
    taken = len(await queries.taken_beds(store, department))
    return FreeBeds(department=department, beds=ward.beds, taken=taken, free=max(0, ward.beds - taken))


@router.put("/departments/{department}/beds", summary="设定床位数 / Have so many beds")
async def keep_beds(department: OwnDepartment, body: Beds, _: Clinician, store: StoreDep) -> WardView:
    @repeated()
    async def once() -> WardView:
        ward = await queries.ward_of(store, department)
        ward.keep(body.beds)
        return await store.commit(ward, WardView.of)

    return await once()


@router.post("/departments/{department}/slots", status_code=201, summary="开放会诊时段 / Open a slot")
async def open_slot(department: OwnDepartment, body: NewSlot, _: Clinician, store: StoreDep) -> SlotView:
    slot = Slot.opened(department, body.starts_at, body.minutes, str(body.link), now())
    return await store.commit(slot, SlotView.of)


@router.get("/slots", summary="会诊时段 / Slots from now on, in time order")
async def list_slots(
    _: Staff, page: Slots, department: OwnDepartment, state: SlotState = SlotState.OPEN
) -> Page[SlotView]:
    return await page(queries.coming(department, state, now()), [("starts_at", 1)], SlotView.of)


@router.post("/slots/{slot_id}/withdraw", summary="撤回时段 / The department cannot keep it")
async def withdraw(slot_id: str, body: Reasoned, caller: Clinician, change: Change) -> SlotView:
    load = partial(change.load, Slot, slot_id)
    return await changes.withdraw_slot(change.store, load, body.why, Actor.of(caller), SlotView.of)
