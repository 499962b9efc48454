"""Opening a record: it is written down first who reads it, and what cannot be written down is not read."""

import structlog

from shared.http.access import Caller
from shared.model.clock import now
from shared.model.workflow import Actor
from shared.store.store import Store

from . import queries
from .domain.reading import Grant, NotRecorded, Reading, View
from .domain.referral import PATIENT, Referral
from .domain.slot import Slot

MOST_SHOWN = 500
log = structlog.get_logger()


async def open_record(
    store: Store, caller: Caller, referral: Referral, view: View, grant: Grant | None = None
) -> Slot | None:
    """Record the reading, then open the referral in place; with its consult slot. Raises NotRecorded."""
    await record(store, caller, referral.id, view, grant)
    await store.unseal(referral)
    return await store.load(Slot, referral.slot_id) if referral.slot_id else None


async def record(
    store: Store, caller: Caller, referral_id: str, view: View, grant: Grant | None = None
) -> None:
    """Write down a reading. Raises NotRecorded, whatever went wrong: then nothing may be shown."""
    by = Actor.of(caller, PATIENT)
    reading = Reading(
        referral_id=referral_id,
        by=by.id,
        role=caller.role,
        department=caller.department,
        view=view,
        at=now(),
        grant_id=grant.id if grant else None,
    )
    try:
        await store.commit(reading)
    except Exception as error:
        log.error("reading not recorded", error=type(error).__name__)
        raise NotRecorded(headers={"Retry-After": "2"}) from error


async def read_by(store: Store, referral_id: str) -> tuple[list[Reading], dict[str, Grant]]:
    """Who read a record, newest first, and the emergencies among it, with their reasons opened."""
    readings = await queries.readings(store, referral_id, MOST_SHOWN)
    ids = {reading.grant_id for reading in readings if reading.grant_id}
    grants = await store.select(Grant, {"_id": {"$in": sorted(ids)}}, limit=MOST_SHOWN) if ids else []
    await store.unseal(*grants)
    return readings, {grant.id: grant for grant in grants}
