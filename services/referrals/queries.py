"""Named queries over referrals, slots, readings and emergencies."""

from datetime import datetime

from shared.city.departments import Department
from shared.mongo.driver import Bson
from shared.store.store import Store

from .domain.reading import Grant, Reading
from .domain.referral import Referral
from .domain.slot import SlotState
from .domain.states import states_of
from .domain.ward import MOST_BEDS, Ward


def queue_of(role: str, department: Department | None) -> Bson:
    """A role's work queue, of one department or of all."""
    where: Bson = {"state": {"$in": states_of(role)}}
    return where | ({"department": department} if department else {})


async def ward_of(store: Store, department: Department) -> Ward:
    """A department's ward; one without beds where none was ever kept."""
    return await store.find(Ward, department) or Ward(id=department)


async def taken_beds(store: Store, department: Department) -> set[int]:
    """The numbers of the beds that are kept for somebody."""
    where = {"department": department, "bed": {"$gt": 0}}
    with_bed = await store.select(Referral, where, limit=MOST_BEDS)
    return {referral.bed for referral in with_bed}


def coming(department: Department, state: SlotState, since: datetime) -> Bson:
    """A department's slots in a state, from an instant on."""
    return {"department": department, "state": state, "starts_at": {"$gte": since}}


async def readings(store: Store, referral_id: str, limit: int) -> list[Reading]:
    """Who read a record, newest first."""
    where = {"referral_id": referral_id}
    return await store.select(Reading, where, sort=[("at", -1), ("_id", -1)], limit=limit)


async def last_grant(store: Store, referral_id: str, by: str) -> Grant | None:
    """The last emergency in which somebody read a record; there is never more than one that holds."""
    return await store.first(Grant, {"referral_id": referral_id, "by": by}, until=-1)
