"""Named queries over pledges, chains and check-ins."""

from collections.abc import Sequence

from shared.city.divisions import division_range
from shared.model.roles import Caller
from shared.model.tallies import Tally
from shared.mongo.driver import Bson
from shared.store.store import Store
from shared.store.tallies import Counts, counted

from .domain.chain import Chain
from .domain.fraud import ListEntry, ListKind
from .domain.invalidation import RUNNING, Invalidation
from .domain.pledge import Pledge
from .domain.states import PledgeState

MANY = 10_000_000


async def counted_with(store: Store, pledge: Pledge) -> Pledge | None:
    """The pledge that is counted for the same household (or signer) already."""
    where = {
        "campaign_id": pledge.campaign_id,
        "text_version": pledge.text_version,
        "identities": {"$in": pledge.identities},
        "state": PledgeState.COUNTED,
    }
    return await store.first(Pledge, where)


async def by_token(store: Store, token: str) -> Pledge | None:
    """The pledge whose certificate has this token."""
    return await store.first(Pledge, {"token": {"$eq": token, "$gt": ""}})


def in_chain(chain_id: str) -> Bson:
    """The pledges of a chain: those that have a serial in it, whatever became of them."""
    return {"chain_id": chain_id, "serial": {"$gt": 0}}


def to_review(caller: Caller, campaign_id: str | None) -> Bson | None:
    """The reviewer's queue, of a campaign or of all."""
    where = {"state": PledgeState.VERIFIED} | ({"campaign_id": campaign_id} if campaign_id else {})
    own = Pledge.concerning(caller)
    return own if own is None else own | where


def in_force(kind: ListKind | None) -> Bson:
    """The phones on the lists, or on one of them."""
    return {"revoked_at": None} | ({"kind": kind} if kind else {})


async def covered_by_division(store: Store, campaign_id: str, digits: int, under: str) -> Sequence[Bson]:
    """`_id` (code of so many digits), `counted`, `covered`, `chains`: the chains of a campaign summed up."""
    match: Bson = {"campaign_id": campaign_id, "division": division_range(under)}
    covered = {"$max": {"$map": {"input": {"$objectToArray": "$by_text"}, "in": "$$this.v"}}}
    group: Bson = {
        "_id": {"$substrBytes": ["$division", 0, digits]},
        "counted": {"$sum": "$counted"},
        "covered": {"$sum": covered},
        "chains": {"$sum": 1},
    }
    return await store.aggregate(Chain, [{"$match": match}, {"$group": group}])


async def running_invalidation(store: Store) -> Invalidation | None:
    """The oldest bulk invalidation that has been started and not finished."""
    return await store.first(Invalidation, {"state": RUNNING}, at=1)


async def struck_by(store: Store, invalidation_id: str) -> int:
    """How many pledges a bulk invalidation has struck out."""
    where = {"invalidation": {"$eq": invalidation_id, "$gt": ""}}
    return await store.count(Pledge, where, limit=MANY)


async def listed_phone(store: Store, phone_key: str) -> ListEntry | None:
    """The entry of a phone, revoked or not."""
    return await store.first(ListEntry, {"phone_key": phone_key})


# ── what the audit compares with ─────────────────────────────────────────────────────────────────

CHAINS = Tally({"signed": "signed", "counted": "counted"}, by={"chain": "id"})


async def chains_shown(store: Store) -> Counts:
    """What the chains say of themselves."""
    return await counted(store, [(Chain, CHAINS)])
