"""Who signs and for which household: how the same phone, name and door are recognised again.

Only keyed hashes of them are kept to match by; `Blind` (the vault's blind index) makes those.
"""

from collections.abc import Callable
from typing import NamedTuple

from shared.model.doors import normal_door
from shared.model.known import PHONE
from shared.model.names import normal_name

Blind = Callable[[str], str]
"""A personal value -> its keyed HMAC."""


def phone_key(blind: Blind, phone: str) -> str:
    """What a (normal) phone number is matched by."""
    return blind(f"{PHONE}|{phone}")


def signing_key(blind: Blind, chosen: str) -> str:
    """What is kept of the key that came with a form."""
    return blind(f"signing-key|{chosen}")


class Keys(NamedTuple):
    """What a form is matched by: its phone, and the identities that may be counted only once."""

    phone: str
    identities: list[str]


def keys_of(blind: Blind, community: str, door: str | None, phone: str, name: str) -> Keys:
    """The keys of a form.

    The household is its door within the community (a code); without a door it is the signer's phone and name.
    The signer (phone and name) is an identity too, so two signers may share a phone and nobody signs for
    two doors.
    """
    identities = [blind(f"signer|{phone}|{normal_name(name)}")]
    if door:
        identities.append(blind(f"household|{community}|{normal_door(door, community)}"))
    return Keys(phone_key(blind, phone), identities)
