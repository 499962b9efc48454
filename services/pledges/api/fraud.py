"""Against fraud: listed phones, and bulk invalidation (count first, then start)."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict

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
from shared.city.divisions import CITY
from shared.contracts.pledges import SignerRole
from shared.http.callers import CityOfficer, Officer
from shared.http.change import Change, Changing, reached
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.reach import OwnDivision, within
from shared.http.routes import Body, Router
from shared.http.views import DocumentView, GivenDay, GivenId, StateView
from shared.model.clock import now
from shared.model.roles import Role
from shared.model.text import Phone
from shared.model.workflow import Actor, Transition
from shared.store.store import Store

router = Router(tags=["anti-fraud"])
Entries = Annotated[Listing[ListEntry], listed(ListEntry, day="at")]
Invalidations = Annotated[Listing[Invalidation], listed(Invalidation, day="at")]


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


@router.post("/listed-phones", status_code=201, summary="加入白名单或黑名单 / Put a phone on a list")
async def list_phone(body: NewEntry, caller: CityOfficer, store: StoreDep) -> EntryView:
    key = phone_key(store.vault.blind_index, body.phone)
    entry = await queries.listed_phone(store, key)
    if entry is None:
        entry = ListEntry(phone_key=key, kind=body.kind, reason=body.reason, by=caller.id, at=now())
    entry.put(body.kind, body.reason, Actor.of(caller), now())
    view = await store.commit(entry, EntryView.of)
    Lookups.of(store).forget_suspicions()
    return view


@router.get("/listed-phones", summary="名单 / The entries in force, newest first")
async def list_entries(_: CityOfficer, page: Entries, kind: ListKind | None = None) -> Page[EntryView]:
    return await page(queries.in_force(kind), [("at", -1)], EntryView.of)


@router.post("/listed-phones/{entry_id}/revoke", summary="移出名单 / Take a phone off")
async def revoke(entry_id: str, _: CityOfficer, change: Change) -> EntryView:
    view = await change(ListEntry, entry_id, lambda entry: entry.revoke(now()), EntryView.of)
    Lookups.of(change.store).forget_suspicions()
    return view


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

    model_config = ConfigDict(from_attributes=True)

    campaign_id: str | None
    division: str | None
    from_day: date | None
    to_day: date | None
    one_phone: bool
    role: SignerRole | None


class InvalidationView(StateView):
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
    history: list[Transition]


@router.post("/invalidations", status_code=201, summary="批量作废：试算 / Prepare and dry-count")
async def prepare(body: NewInvalidation, caller: Officer, store: StoreDep) -> InvalidationView:
    if body.condition.division is None:  # it says nothing of where: everywhere
        within(caller, CITY)
    condition = body.condition.condition(store)
    matched = await store.count(Pledge, condition.where(), limit=queries.MANY)
    job = Invalidation.prepared(condition, matched, body.reason, Actor.of(caller), now())
    return await store.commit(job, InvalidationView.of)


@router.get("/invalidations", summary="批量作废记录 / Bulk invalidations, newest first")
async def list_jobs(caller: Officer, page: Invalidations) -> Page[InvalidationView]:
    return await page(Invalidation.concerning(caller), [("_id", -1)], InvalidationView.of)


@router.get("/invalidations/{job_id}", summary="批量作废进度 / Progress")
async def read_job(job_id: str, caller: Officer, store: StoreDep) -> InvalidationView:
    return InvalidationView.of(await reached(store, caller, Invalidation, job_id))


@router.post("/invalidations/{job_id}/start", summary="开始批量作废 / Start")
async def start(job_id: str, caller: Officer, change: Change) -> InvalidationView:
    return await _moved(change, job_id, lambda job: job.start(Actor.of(caller), now()))


@router.post("/invalidations/{job_id}/cancel", summary="停止批量作废 / Cancel")
async def cancel(job_id: str, caller: Officer, change: Change) -> InvalidationView:
    return await _moved(change, job_id, lambda job: job.cancel(Actor.of(caller), now()))


@router.post("/invalidations/{job_id}/lift", summary="解除作废条件 / Let what comes under it count again")
async def lift(job_id: str, caller: Officer, change: Change) -> InvalidationView:
    return await _moved(change, job_id, lambda job: job.lift(Actor.of(caller), now()))


async def _moved(change: Changing, job_id: str, move: Callable[[Invalidation], None]) -> InvalidationView:
    view = await change(Invalidation, job_id, move, InvalidationView.of)
    Lookups.of(change.store).forget_suspicions()
    return view
