"""How a patient is known again: by a keyed hash of her account's id, and by nothing else.

A phone is given to somebody else one day: it says whose a request may be, and opens none. What the
coordinator wrote down for who spoke by phone becomes hers by a claim.
"""

from shared.http.access import Caller
from shared.store.store import Store

from .domain.referral import BY_ACCOUNT


def account_key(store: Store, caller: Caller) -> str:
    """What a patient is known by: her account, whose id is personal."""
    return BY_ACCOUNT.key(store.vault.blind_index, caller)


def phone_key(store: Store, phone: str) -> str:
    """What keeps one phone from asking twice, until the patient has claimed it. Nobody is found by it."""
    return store.vault.blind_index(f"patient-phone|{phone}")
