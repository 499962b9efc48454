"""Named queries over referrals, slots, readings and emergencies."""

from datetime import datetime
from typing import Any

from shared.city.departments import Department
from shared.store.store import Store

from .domain.reading import Grant, GrantState, Reading
from .domain.referral import QUEUE_ORDER, Referral
from .domain.slot import Slot, SlotState
from .domain.states import ReferralState, states_of
from .domain.ward import MOST_BEDS, Ward


async def queue_of(
    store: Store, role: str, department: Department | None, state: ReferralState | None, limit: int
) -> list[Referral]:
    """A role's work queue, of one department or of all, in triage order."""
    states = [of for of in states_of(role) if state in (None, of)]
    where: dict[str, Any] = {"state": {"$in": states}}
    if department:
        where["department"] = department
    return await store.select(Referral, where, sort=QUEUE_ORDER, limit=limit)


async def ward_of(store: Store, department: Department) -> Ward:
    """A department's ward; one without beds where none was ever kept."""
    return await store.find(Ward, department) or Ward(id=department)


async def taken_beds(store: Store, department: Department) -> set[int]:
    """The numbers of the beds that are kept for somebody."""
    where = {"department": department, "bed": {"$gt": 0}}
    with_bed = await store.select(Referral, where, limit=MOST_BEDS)
    return {referral.bed for referral in with_bed}


async def own(store: Store, patient_key: str) -> list[Referral]:
    """A patient's referrals, newest first."""
    return await store.select(Referral, {"patient_key": patient_key}, sort=[("requested_at", -1)])


async def slots(
    store: Store, department: Department | None, state: SlotState, since: datetime, limit: int
) -> list[Slot]:
    """Slots in time order."""
    where: dict[str, Any] = {"state": state, "starts_at": {"$gte": since}}
    where["department"] = department or {"$in": list(Department)}
    return await store.select(Slot, where, sort=[("starts_at", 1)], limit=limit)


async def readings(store: Store, referral_id: str, limit: int) -> list[Reading]:
    """Who read a record, newest first."""
    where = {"referral_id": referral_id}
    return await store.select(Reading, where, sort=[("at", -1), ("_id", -1)], limit=limit)


async def last_grant(store: Store, referral_id: str, by: str) -> Grant | None:
    """The last emergency in which somebody read a record; there is never more than one that holds."""
    return await store.first(Grant, {"referral_id": referral_id, "by": by}, until=-1)


async def to_review(store: Store, limit: int) -> list[Grant]:
    """The data officer's queue, oldest first."""
    return await store.select(Grant, {"state": GrantState.OPEN}, sort=[("at", 1)], limit=limit)
