"""Beds and consult slots of a department."""

from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, Field

from services.referrals import changes, queries
from services.referrals.domain.slot import Slot, SlotState
from services.referrals.domain.ward import MOST_BEDS, Ward
from shared.city.departments import Department
from shared.http.links import PublicLink
from shared.http.parameters import IfMatch, StoreDep
from shared.http.reach import OwnDepartment
from shared.http.routes import Body, Router
from shared.http.views import DocumentView, Instant, tagged
from shared.model.clock import now
from shared.model.workflow import Actor
from shared.store.store import repeated

from .asking import Reasoned
from .callers import Clinician, Staff, reached_slot
from .views import Limit, SlotView

router = Router(tags=["capacity"])


class Beds(Body):
    """How many beds there are for the channel: a standing number."""

    beds: Annotated[int, Field(ge=0, le=MOST_BEDS)]


class WardView(DocumentView):
    """The number of beds."""

    beds: int

    @classmethod
    def of(cls, ward: Ward) -> "WardView":
        return cls(**ward.model_dump())


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
async def keep_beds(
    department: OwnDepartment, body: Beds, _: Clinician, store: StoreDep, response: Response
) -> WardView:
    async def once() -> WardView:
        ward = await queries.ward_of(store, department)
        ward.keep(body.beds)
        return await store.commit(ward, WardView.of)

    return tagged(response, await repeated(once))


@router.post("/departments/{department}/slots", status_code=201, summary="开放会诊时段 / Open a slot")
async def open_slot(
    department: OwnDepartment, body: NewSlot, _: Clinician, store: StoreDep, response: Response
) -> SlotView:
    slot = Slot.opened(department, body.starts_at, body.minutes, str(body.link), now())
    return tagged(response, await store.commit(slot, SlotView.of))


@router.get("/slots", summary="会诊时段 / Slots from now on, in time order")
async def list_slots(
    _: Staff,
    store: StoreDep,
    department: OwnDepartment,
    state: SlotState = SlotState.OPEN,
    limit: Limit = 100,
) -> list[SlotView]:
    return [SlotView.of(slot) for slot in await queries.slots(store, department, state, now(), limit)]


@router.post("/slots/{slot_id}/withdraw", summary="撤回时段 / The department cannot keep it")
async def withdraw(
    slot_id: str,
    body: Reasoned,
    caller: Clinician,
    store: StoreDep,
    response: Response,
    if_match: IfMatch = None,
) -> SlotView:
    async def load() -> Slot:
        return await reached_slot(store, caller, slot_id, if_match)

    view = await changes.withdraw_slot(store, load, body.why, Actor.of(caller), SlotView.of)
    return tagged(response, view)
