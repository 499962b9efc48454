"""What pledges holds about a person: the pledges signed with their phone, and their place in a team."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from shared.http.access import Caller
from shared.http.persons import Held, PersonalData
from shared.http.proofs import account_key, proven_since
from shared.model.clock import now
from shared.model.documents import Document
from shared.model.personal import PersonId
from shared.store.store import Store

from .domain.checkin import CheckIn
from .domain.fraud import ListEntry
from .domain.identity import phone_key
from .domain.invalidation import Invalidation
from .domain.photo import Photo
from .domain.pledge import Pledge
from .domain.team import Member, Team

MOST = 1000
"""Pledges of one phone, and days of one pledge, that are shown."""
_KEYS = {"phone_key", "identities", "code_key", "signing_key", "account_key"}
"""Keyed hashes: of use to nobody but us."""


async def held(store: Store, caller: Caller) -> list[Held]:
    """What belongs to the account: pledges that it handed in, places in teams that it claimed; and what is
    under its verified phone, while that stands for who proved it by a code.
    """
    own = {"account_key": {"$eq": account_key(store.vault.blind_index, caller), "$gt": ""}}
    found = [await _of_member(store, member) for member in await store.select(Member, own, limit=MOST)]
    pledges, known = await own_pledges(store, caller), list[Held]()
    if caller.phone is not None:
        known = await _against_fraud(store, phone_key(store.vault.blind_index, caller.phone))
    return [*found, *[await of_pledge(store, pledge) for pledge in pledges], *known]


async def own_pledges(store: Store, caller: Caller) -> list[Pledge]:
    """What the caller's account signed, and her phone while that stands for who proved it."""
    own = {"account_key": {"$eq": account_key(store.vault.blind_index, caller), "$gt": ""}}
    pledges = {pledge.id: pledge for pledge in await store.select(Pledge, own, limit=MOST)}
    if caller.phone is not None:
        key, since = phone_key(store.vault.blind_index, caller.phone), proven_since()
        found = await store.select(Pledge, {"phone_key": key}, limit=MOST)
        pledges |= {p.id: p for p in found if p.phone_proven_at is not None and p.phone_proven_at > since}
    return list(pledges.values())


async def _against_fraud(store: Store, key: str) -> list[Held]:
    entries = await store.select(ListEntry, {"phone_key": key})
    struck = await store.select(Invalidation, {"condition.phone_key": key})
    found = [_kept("list_entries", entry, "kind") for entry in entries]
    return found + [_kept("invalidations", job, "state") for job in struck]


def _kept(kind: str, document: Document, what: str) -> Held:
    """What is known of the phone against fraud: that is not the caller's to end."""
    shown = document.model_dump(mode="json", include={"id", what, "reason", "at"})
    return Held(document.id, {kind: [shown]}, kept=True)


async def of_persons(store: Store, persons: Sequence[PersonId]) -> list[Held]:
    """What there is of some persons."""
    pledges = await store.select(Pledge, {"signer": {"$in": persons}}, limit=MOST)
    members = await store.select(Member, {"person": {"$in": persons}}, limit=MOST)
    return [
        *[await of_pledge(store, pledge) for pledge in pledges],
        *[await _of_member(store, member) for member in members],
    ]


async def _of_member(store: Store, member: Member) -> Held:
    return Held(member.person, {"members": [await _opened(store, member)]})


async def of_pledge(store: Store, pledge: Pledge) -> Held:
    """What belongs to a pledge's signer."""
    found: dict[str, type[Document]] = {"check_ins": CheckIn, "photos": Photo}
    records = {"pledges": [await _opened(store, pledge)]}
    for kind, model in found.items():
        of_it = await store.select(model, {"pledge_id": pledge.id}, limit=MOST)
        records[kind] = [await _opened(store, document) for document in of_it]
    return Held(pledge.signer, records)


async def _opened(store: Store, document: Document) -> dict[str, Any]:
    await store.unseal(document)
    return document.model_dump(mode="json", exclude=_KEYS)


async def mark(store: Store, held: Held) -> None:
    """Withdraw what was signed, leave the team, and forget by what they were matched."""
    for row in held.records.get("pledges", ()):
        await store.change(Pledge, row["id"], lambda pledge: pledge.forget(now()))
    for row in held.records.get("members", ()):
        team = await store.load(Team, row["team_id"])
        await store.change(Member, row["id"], partial(Member.forget, division=team.division))


personal_data = PersonalData(held, of_persons, mark)
