"""What referrals holds about a patient: her referrals, and who read them."""

from typing import Any

from pydantic import BaseModel

from shared.access import Caller, Role
from shared.clock import now
from shared.persons import Held, PersonalData
from shared.store.store import Store

from . import changes, queries
from .domain.reading import View
from .domain.referral import PATIENT, Referral
from .opening import open_record, read_by
from .patients import patient_key


async def held(store: Store, caller: Caller) -> list[Held]:
    """Everything under the caller's account. It is a reading like any other. Raises NotRecorded."""
    referrals = await queries.own(store, patient_key(store, caller))
    return [await _of(store, caller, referral) for referral in referrals]


async def _of(store: Store, caller: Caller, referral: Referral) -> Held:
    await open_record(store, caller, Role.RESIDENT, referral, View.PATIENT)
    readings, _ = await read_by(store, referral.id)
    shown: list[dict[str, Any]] = [reading.model_dump(mode="json") for reading in readings]
    opened = referral.model_dump(mode="json", exclude={"patient_key"})
    return Held(referral.patient, {"referrals": [opened], "readings": shown})


class _Done(BaseModel):
    """Nobody is told more."""


async def mark(store: Store, held: Held) -> None:
    """End what still runs, give back what was kept for her, and forget by what she was known."""
    for row in held.records["referrals"]:

        async def load(referral_id: str = row["id"]) -> Referral:
            return await store.load(Referral, referral_id)

        await changes.change(store, load, _erase, lambda _: PATIENT, lambda _: _Done())


def _erase(referral: Referral, by: str) -> None:
    referral.erase(now(), by)


personal_data = PersonalData(held, mark)
