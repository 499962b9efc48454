"""Whose inboxes a caller reads: by the account, or by a phone that was proven not too long ago."""

from datetime import datetime
from typing import Any, NamedTuple

from services.notifier.domain.messages import Contact, contact_key
from shared.http.access import Caller
from shared.http.proofs import account_key, proven_since
from shared.store.store import Store

MOST = 1000


class Known(NamedTuple):
    """By what a caller is known: keyed hashes, and since when a phone must have been proven."""

    account_key: str
    phone_key: str
    since: datetime


def known_by(store: Store, caller: Caller) -> Known:
    """What the issuer says of the caller, as contacts have it."""
    blind, phone = store.vault.blind_index, caller.phone
    return Known(account_key(blind, caller), contact_key(blind, phone) if phone else "", proven_since())


async def contacts_of(store: Store, caller: Caller) -> list[Contact]:
    """The contacts that lead to the caller."""
    account, phone, since = known_by(store, caller)
    ways: list[dict[str, Any]] = [{"account_key": {"$eq": account, "$gt": ""}}]
    if phone:
        ways.append({"phone_key": phone, "proven_at": {"$gt": since}})
    return await store.select(Contact, {"$or": ways}, limit=MOST)
