"""Against fraud: listed phones, and bulk invalidation (count first, then start)."""

from datetime import date, datetime
from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel

from services.pledges import queries
from services.pledges.domain.fraud import ListEntry, ListKind
from services.pledges.domain.identity import phone_key
from services.pledges.domain.invalidation import (
    Condition,
    Invalidation,
    InvalidationState,
)
from services.pledges.domain.pledge import Pledge
from services.pledges.domain.reasons import Why
from services.pledges.lookups import Lookups
from shared.city.divisions import CITY, division_range
from shared.contracts.pledges import SignerRole
from shared.http.access import Caller
from shared.http.parameters import IfMatch, StoreDep
from shared.http.reach import OwnDivision
from shared.http.routes import Body, Router
from shared.http.views import DocumentView, GivenDay, GivenId, tagged
from shared.model.clock import now
from shared.model.roles import Role
from shared.model.text import Phone
from shared.model.workflow import Actor, Transition
from shared.store.store import Store

from .callers import CityOfficer, Officer, known, responsible_for, within

router = Router(tags=["anti-fraud"])


class NewEntry(Body):
    """A phone to trust (`allow`: no limits) or to look at first (`block`: its pledges are held)."""

    phone: Phone
    kind: ListKind
    reason: Why


class EntryView(DocumentView):
    """An entry; the phone itself is not kept."""

    kind: ListKind
    reason: Why
    by: str
    role: Role | None
    at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, entry: ListEntry) -> "EntryView":
        return cls(**entry.model_dump())


@router.post("/listed-phones", status_code=201, summary="加入白名单或黑名单 / Put a phone on a list")
async def list_phone(body: NewEntry, caller: CityOfficer, store: StoreDep, response: Response) -> EntryView:
    key = phone_key(store.vault.blind_index, body.phone)
    entry = await queries.listed_phone(store, key)
    if entry is None:
        entry = ListEntry(phone_key=key, kind=body.kind, reason=body.reason, by=caller.id, at=now())
    entry.put(body.kind, body.reason, Actor.of(caller), now())
    view = await store.commit(entry, EntryView.of)
    Lookups.of(store).forget_suspicions()
    return tagged(response, view)


@router.get("/listed-phones", summary="名单 / The entries in force, newest first")
async def list_entries(
    _: CityOfficer,
    store: StoreDep,
    kind: ListKind | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[EntryView]:
    where = {"revoked_at": None} | ({"kind": kind} if kind else {})
    return [EntryView.of(e) for e in await store.select(ListEntry, where, sort=[("at", -1)], limit=limit)]


@router.post("/listed-phones/{entry_id}/revoke", summary="移出名单 / Take a phone off")
async def revoke(
    entry_id: str, _: CityOfficer, store: StoreDep, response: Response, if_match: IfMatch = None
) -> EntryView:
    view = await store.change(ListEntry, entry_id, lambda e: e.revoke(now()), EntryView.of, if_match=if_match)
    Lookups.of(store).forget_suspicions()
    return tagged(response, view)


class ConditionBody(Body):
    """What the pledges have in common: all that is given must hold, and something must be given."""

    campaign_id: GivenId | None = None
    division: OwnDivision | None = None
    from_day: GivenDay | None = None
    to_day: GivenDay | None = None
    phone: Phone | None = None
    role: SignerRole | None = None

    def condition(self, store: Store) -> Condition:
        """As it is stored: with the phone's key in place of the phone."""
        key = phone_key(store.vault.blind_index, self.phone) if self.phone else None
        return Condition(phone_key=key, **self.model_dump(exclude={"phone"}))


class NewInvalidation(Body):
    """A bulk invalidation to prepare; it does nothing before it is started."""

    condition: ConditionBody
    reason: Why


class ConditionView(BaseModel):
    """A condition; the phone itself is not kept."""

    campaign_id: str | None
    division: str | None
    from_day: date | None
    to_day: date | None
    one_phone: bool
    role: SignerRole | None


class InvalidationView(DocumentView):
    """`matched` is the dry count, `invalidated` the progress. In state `done` the condition still holds:
    what comes under it is held for the reviewer, until it is lifted."""

    condition: ConditionView
    reason: Why
    by: str
    role: Role | None
    at: datetime
    matched: int
    invalidated: int
    state: InvalidationState
    queue: str | None
    legal: list[str]
    history: list[Transition]

    @classmethod
    def of(cls, job: Invalidation) -> "InvalidationView":
        condition = job.condition.model_dump(exclude={"phone_key"})
        return cls(
            condition=ConditionView(one_phone=job.condition.phone_key is not None, **condition),
            queue=job.queue,
            legal=job.legal,
            **job.model_dump(exclude={"condition", "after"}),
        )


@router.post("/invalidations", status_code=201, summary="批量作废：试算 / Prepare and dry-count")
async def prepare(
    body: NewInvalidation, caller: Officer, store: StoreDep, response: Response
) -> InvalidationView:
    if body.condition.division is None:  # it says nothing of where: everywhere
        within(caller, CITY)
    condition = body.condition.condition(store)
    matched = await store.count(Pledge, condition.where(), limit=queries.MANY)
    job = Invalidation.prepared(condition, matched, body.reason, Actor.of(caller), now())
    return tagged(response, await store.commit(job, InvalidationView.of))


@router.get("/invalidations", summary="批量作废记录 / Bulk invalidations, newest first")
async def list_jobs(caller: Officer, store: StoreDep) -> list[InvalidationView]:
    where = {"condition.division": division_range(responsible_for(caller))} if caller.division != CITY else {}
    jobs = await store.select(Invalidation, where, sort=[("_id", -1)], limit=100)
    return [InvalidationView.of(job) for job in jobs]


@router.get("/invalidations/{job_id}", summary="批量作废进度 / Progress")
async def read_job(job_id: str, caller: Officer, store: StoreDep, response: Response) -> InvalidationView:
    return tagged(response, InvalidationView.of(await _theirs(store, caller, job_id)))


async def _theirs(store: Store, caller: Caller, job_id: str) -> Invalidation:
    return await known(store, caller, Invalidation, job_id, lambda job: job.condition.division)


@router.post("/invalidations/{job_id}/start", summary="开始批量作废 / Start")
async def start(
    job_id: str, caller: Officer, store: StoreDep, response: Response, if_match: IfMatch = None
) -> InvalidationView:
    await _theirs(store, caller, job_id)
    by = Actor.of(caller)
    view = await store.change(
        Invalidation, job_id, lambda job: job.start(by, now()), InvalidationView.of, if_match=if_match
    )
    Lookups.of(store).forget_suspicions()
    return tagged(response, view)


@router.post("/invalidations/{job_id}/cancel", summary="停止批量作废 / Cancel")
async def cancel(
    job_id: str, caller: Officer, store: StoreDep, response: Response, if_match: IfMatch = None
) -> InvalidationView:
    await _theirs(store, caller, job_id)
    by = Actor.of(caller)
    view = await store.change(
        Invalidation, job_id, lambda job: job.cancel(by, now()), InvalidationView.of, if_match=if_match
    )
    return tagged(response, view)


@router.post("/invalidations/{job_id}/lift", summary="解除作废条件 / Let what comes under it count again")
async def lift(
    job_id: str, caller: Officer, store: StoreDep, response: Response, if_match: IfMatch = None
) -> InvalidationView:
    await _theirs(store, caller, job_id)
    by = Actor.of(caller)
    view = await store.change(
        Invalidation, job_id, lambda job: job.lift(by, now()), InvalidationView.of, if_match=if_match
    )
    Lookups.of(store).forget_suspicions()
    return tagged(response, view)
