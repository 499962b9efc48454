"""Who may do what here, in the field's words; each route says which of these it is for."""

from datetime import datetime
from typing import Annotated, NamedTuple

from fastapi import Depends, Header

from services.pledges.domain.identity import phone_key, signing_key
from services.pledges.domain.pledge import Pledge
from shared.http.access import MaybeCaller, Role, anyone
from shared.http.allowances import Asking
from shared.http.change import Changing
from shared.http.parameters import StoreDep
from shared.http.proofs import SignInAgain, account_key, check_fresh, proven_since
from shared.model.roles import Bearer
from shared.store.request_keys import PROVES
from shared.store.store import Store

Anyone = Annotated[None, anyone("公开信息 / public: names masked, community level at most")]
Signer = Annotated[None, anyone("签署人 / the signer; what is shown to others is masked as in public")]
Signing = Annotated[Asking, anyone("签署人 / whoever signs: a code is sent to the phone", costly=True)]
Holder = Annotated[
    None,
    anyone("签署人 / the signer: by the Signing-Key of the form, or an account: its own, or with its phone"),
]
"""Anybody may learn the id of a pledge, from its events: it proves nothing."""
HolderOfCode = Annotated[
    Asking, anyone("签署人 / the signer, as above: another code is sent to the phone", costly=True)
]

_key_header = Header(
    alias="Signing-Key",
    pattern=r"^[A-Za-z0-9_-]{22,64}$",
    description="签署时自选的随机串 / random, chosen by the signer together with the form",
)
ChosenKey = Annotated[str, _key_header, PROVES]
"""With a form: whoever brings it again is the one who handed the form in."""
SigningKey = Annotated[str | None, _key_header, PROVES]


class Proof(NamedTuple):
    """Keyed hashes of what a caller brings to show that a pledge is theirs."""

    signing_key: str
    phone_key: str
    account_key: str
    since: datetime
    """A phone that was proven before may be somebody else's by now."""


async def _proof(store: StoreDep, caller: MaybeCaller, given: SigningKey = None) -> Proof:
    phone = caller.phone if caller else None
    blind = store.vault.blind_index
    return Proof(
        signing_key=signing_key(blind, given) if given else "",
        phone_key=phone_key(blind, phone) if phone else "",
        account_key=account_key(blind, caller) if caller else "",
        since=proven_since(),
    )


def own_account(store: Store, bearer: Bearer | None) -> str:
    """The keyed hash of the resident's account that a form comes from; empty where it comes from none."""
    # Who has a staff role too may be typing the form for a household that has no account.
    if bearer is None or bearer.callers.keys() != {Role.RESIDENT}:
        return ""
    return account_key(store.vault.blind_index, bearer)


Proven = Annotated[Proof, Depends(_proof)]
"""`proof: Proven` in a route for a pledge's holder; then `held_pledge`."""


async def _fresh_proof(proof: Proven, caller: MaybeCaller) -> Proof:
    """The key comes with this very request; an account proves something only if it has just signed in."""
    if caller is None:
        return proof
    try:
        check_fresh(caller)
    except SignInAgain:
        if not proof.signing_key:
            raise
        return proof._replace(phone_key="", account_key="")
    return proof


FreshlyProven = Annotated[Proof, Depends(_fresh_proof)]
"""The same, for what cannot be undone. Raises SignInAgain."""


async def held_pledge(loader: Store | Changing, proof: Proof, pledge_id: str) -> Pledge:
    """The pledge of whoever brings the proof. Raises NotFound, StaleVersion, NotTheSigner."""
    pledge = await loader.load(Pledge, pledge_id)
    pledge.check_holder(*proof)
    return pledge
