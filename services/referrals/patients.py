"""How a patient is known again: by a keyed hash of her account's id."""

from shared.access import Caller
from shared.store.store import Store


def patient_key(store: Store, caller: Caller) -> str:
    """What a patient's account is matched by; its id is personal."""
    return store.vault.blind_index(f"patient|{caller.id}")
