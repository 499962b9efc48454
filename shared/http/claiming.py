"""Starting a claim, and bringing its code: codes are counted by phone, tries by account."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel

from shared import security_log
from shared.http.access import Caller
from shared.http.routes import Body
from shared.http.views import StateView
from shared.model.claims import Claim, ClaimState, OwnClaim, code_key, plain_code
from shared.model.clock import now
from shared.model.documents import Document
from shared.model.personal import PersonId
from shared.model.problems import WrongCode
from shared.model.text import Rule
from shared.security_log import Kind
from shared.store.attempts import repeated
from shared.store.store import Store
from shared.store.turns import take

A = TypeVar("A", bound=BaseModel)
C = TypeVar("C", bound=Claim)
D = TypeVar("D", bound=Document)
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


async def confirmed(
    store: Store,
    caller: Caller,
    kind: type[C],
    code: str,
    model: type[D],
    claim: Callable[[D, C], None],
    answer: Callable[[D], A],
) -> A:
    """The caller brings the code: the record is theirs, by the rule `claim`, and the claim is done.

    Raises TooManyRequests, WrongClaimCode, OwnClaim, IllegalMove, and as the rule does.
    """
    found = await _brought(store, caller, kind, code)

    @repeated()
    async def once() -> A:
        open_claim = await store.load(kind, found.id)
        async with store.together(answer) as unit:
            record = await unit.load(model, open_claim.record_id)
            unit.add(open_claim).confirm(now())
            claim(record, open_claim)
        return unit.answer

    view = await once()
    security_log.record(Kind.CLAIMED)
    return view


async def _brought(store: Store, caller: Caller, kind: type[C], code: str) -> C:
    """The open claim whose code this is; every try counts.

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
