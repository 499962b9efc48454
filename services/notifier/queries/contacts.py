"""Whose inboxes a caller reads: as contacts say by what their persons are known."""

from datetime import datetime
from typing import NamedTuple

from services.notifier.domain.messages import Contact
from shared.http.access import Caller
from shared.http.belonging import belonging
from shared.http.proofs import proven_since
from shared.model.known import Blind
from shared.store.store import Store


class Known(NamedTuple):
    """What `reached_by` holds a contact against."""

    blind: Blind
    caller: Caller
    since: datetime


def known_by(store: Store, caller: Caller) -> Known:
    """What the issuer says of the caller, and since when a phone must have been proven."""
    return Known(store.vault.blind_index, caller, proven_since())


async def contacts_of(store: Store, caller: Caller) -> list[Contact]:
    """The contacts that lead to the caller."""
    return await belonging(store, Contact, caller)
