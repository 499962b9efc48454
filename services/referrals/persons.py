"""What referrals holds about a patient: her referrals, and who read them."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from shared.http.access import Caller
from shared.http.persons import Held, PersonalData
from shared.model.clock import now
from shared.model.personal import PersonId
from shared.store.store import Store

from . import changes, queries
from .domain.reading import View
from .domain.referral import HERSELF, Referral
from .opening import open_record, read_by
from .patients import account_key

MOST = 1000


async def held(store: Store, caller: Caller) -> list[Held]:
    """Everything under the caller's account. It is a reading like any other. Raises NotRecorded."""
    referrals = await queries.own(store, account_key(store, caller))
    for referral in referrals:
        await open_record(store, caller, referral, View.PATIENT)
    return [await _of(store, referral) for referral in referrals]


async def of_persons(store: Store, persons: Sequence[PersonId]) -> list[Held]:
    """The referrals of some patients, as they are stored."""
    found = await store.select(Referral, {"patient": {"$in": persons}}, limit=MOST)
    return [await _of(store, referral) for referral in found]


async def _of(store: Store, referral: Referral) -> Held:
    readings, grants = await read_by(store, referral.id)
    reasons = {grant.id: {"reason": grant.reason} for grant in grants.values()}
    shown: list[dict[str, Any]] = [
        reading.model_dump(mode="json") | reasons.get(reading.grant_id or "", {}) for reading in readings
    ]
    opened = referral.model_dump(mode="json", exclude={"patient_key"})
    return Held(referral.patient, {"referrals": [opened], "readings": shown})


class _Done(BaseModel):
    """Nobody is told more."""


async def mark(store: Store, held: Held) -> None:
    """End what still runs, give back what was kept for her, and forget by what she was known."""
    for row in held.records["referrals"]:

        async def load(referral_id: str = row["id"]) -> Referral:
            return await store.load(Referral, referral_id)

        def erase(referral: Referral) -> None:
            referral.erase(now(), HERSELF)

        await changes.change(store, load, erase, HERSELF, lambda _: _Done())


personal_data = PersonalData(held, of_persons, mark)
