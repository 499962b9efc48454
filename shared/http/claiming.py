"""Starting a claim, and bringing its code: codes are counted by phone, tries by account."""

from datetime import datetime
from typing import Annotated, TypeVar

from shared.http.access import Caller
from shared.http.routes import Body
from shared.http.views import StateView
from shared.model.claims import Claim, ClaimState, OwnClaim, code_key, plain_code
from shared.model.clock import now
from shared.model.personal import PersonId
from shared.model.problems import WrongCode
from shared.model.text import Rule
from shared.store.store import Store
from shared.store.turns import take

C = TypeVar("C", bound=Claim)
CODES_A_DAY = 5
"""To one phone."""
TRIES_A_DAY = 10
"""By one account."""


_CODE = "^[0-9A-HJKMNP-TV-Z]{5}-?[0-9A-HJKMNP-TV-Z]{5}$"


class ClaimCode(Body):
    """The code that the phone received."""

    code: Annotated[str, Rule("code", plain_code, 64, (("pattern", _CODE),))]


class ClaimView(StateView):
    """A claim, for who started it: never the code."""

    state: ClaimState
    deadline: datetime | None


async def start(
    store: Store,
    caller: Caller,
    kind: type[Claim],
    phone: str,
    *,
    record_id: str,
    person: PersonId,
    division: str,
) -> ClaimView:
    """Have a code sent to the phone that was written down. Raises TooManyRequests."""
    blind = store.vault.blind_index
    await take(store, blind(f"claim-codes|{phone}"), CODES_A_DAY)
    about = {"record_id": record_id, "person": person, "division": division}
    return await store.commit(kind.started(blind, phone, caller.id, now(), **about), ClaimView.of)


async def brought(store: Store, caller: Caller, kind: type[C], code: str) -> C:
    """The open claim whose code this is; every try counts. Then `confirm` it, together with the record.

    Raises TooManyRequests, WrongCode, OwnClaim.
    """
    blind = store.vault.blind_index
    left = await take(store, blind(f"claim-tries|{caller.id}"), TRIES_A_DAY)
    claim = await store.first(kind, {"code_key": {"$eq": code_key(blind, code), "$gt": ""}})
    if claim is None or claim.deadline is None or claim.deadline <= now():
        raise WrongCode("认领码不正确或已过期 / The code is wrong or too old", tries_left=left)
    if claim.started_by == caller.id:
        raise OwnClaim()
    return claim
