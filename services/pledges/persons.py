"""What pledges holds about a person: the pledges signed with their phone, and their place in a team."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from shared.access import Caller
from shared.clock import now
from shared.documents import Document
from shared.personal import PersonId
from shared.persons import Held, PersonalData, phone_of
from shared.store.driver import Bson
from shared.store.store import Store

from .domain.checkin import CheckIn
from .domain.fraud import ListEntry
from .domain.identity import phone_key
from .domain.photo import Photo
from .domain.pledge import Pledge
from .domain.team import Member, Team

MOST = 1000
"""Pledges of one phone, and days of one pledge, that are shown."""
_KEYS = {"phone_key", "identities", "code_key", "signing_key"}
"""Keyed hashes: of use to nobody but us."""


async def held(store: Store, caller: Caller) -> list[Held]:
    """Everything under the caller's verified phone."""
    phone = phone_of(caller)
    if phone is None:
        return []
    key = {"phone_key": phone_key(store.vault.blind_index, phone)}
    entries = await store.select(ListEntry, key)
    return await _found(store, key, key) + [_listed(entry) for entry in entries]


def _listed(entry: ListEntry) -> Held:
    """That the phone stands on a list against fraud: to leave it is not the caller's to decide."""
    shown = entry.model_dump(mode="json", include={"id", "kind", "reason", "at"})
    return Held(entry.id, {"list_entries": [shown]}, kept=True)


async def of_persons(store: Store, persons: Sequence[PersonId]) -> list[Held]:
    """What there is of some persons."""
    return await _found(store, {"signer": {"$in": persons}}, {"person": {"$in": persons}})


async def _found(store: Store, pledges: Bson, members: Bson) -> list[Held]:
    return [
        *[await of_pledge(store, pledge) for pledge in await store.select(Pledge, pledges, limit=MOST)],
        *[
            Held(member.person, {"members": [await _opened(store, member)]})
            for member in await store.select(Member, members, limit=MOST)
        ],
    ]


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
