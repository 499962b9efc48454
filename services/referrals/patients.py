"""How a patient is known again: by a keyed hash of her account's id, or of the phone by which she asked."""

from shared.access import Caller
from shared.persons import phone_of
from shared.store.store import Store


def account_key(store: Store, caller: Caller) -> str:
    """What a patient's account is matched by; its id is personal."""
    return store.vault.blind_index(f"patient|{caller.id}")


def phone_key(store: Store, phone: str) -> str:
    """What a patient is matched by who spoke to the coordinator: whose verified phone it is."""
    return store.vault.blind_index(f"patient-phone|{phone}")


def keys_of(store: Store, caller: Caller) -> list[str]:
    """All that a caller may be known by."""
    phone = phone_of(caller)
    return [account_key(store, caller), *([phone_key(store, phone)] if phone else [])]
