"""What referrals does with personal data: who reads is written down first, also when it is the patient; and
what was kept for her is given back when she is forgotten.
"""

from functools import partial

from pydantic import BaseModel

from shared.http.access import Caller
from shared.http.persons import PersonalData
from shared.model.clock import now
from shared.store.store import Store

from . import changes
from .domain.reading import View
from .domain.referral import HERSELF, Referral
from .opening import record


class _Done(BaseModel):
    """Nobody is told more."""


async def _read_by_herself(store: Store, caller: Caller, referral: Referral) -> None:
    """Raises NotRecorded."""
    await record(store, caller, referral.id, View.PATIENT)


async def _forget(store: Store, referral_id: str) -> None:
    load = partial(store.load, Referral, referral_id)
    await changes.change(store, load, lambda found: found.forget(now()), HERSELF, lambda _: _Done())


personal = PersonalData(before_shown=_read_by_herself, forget={Referral: _forget})
