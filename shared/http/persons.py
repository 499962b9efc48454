"""What a person may ask of every service: what it holds about them, and to be erased (PIPL art. 45, 47)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel

from shared import security_log
from shared.http.access import Caller, Role, may
from shared.http.parameters import StoreDep
from shared.http.routes import Router
from shared.model.clock import now
from shared.model.documents import Document, Most
from shared.model.personal import PersonId
from shared.model.problems import AlreadyExists
from shared.model.workflow import Actor
from shared.security_log import Kind
from shared.store.request_keys import part
from shared.store.store import Store

Resident = Annotated[Caller, may(Role.RESIDENT)]
FreshResident = Annotated[Caller, may(Role.RESIDENT, fresh=True)]
Records = dict[str, list[dict[str, Any]]]
"""By kind (the collection's name): the documents, opened."""


class Held(NamedTuple):
    """What is held about the caller as one person: a vault's person is one relation, e.g. one pledge."""

    person: PersonId
    records: Records
    kept: bool = False
    """Shown, and not erased on request: what protects others, such as an entry on a list against fraud."""

    @property
    def counts(self) -> dict[str, int]:
        """How much of which kind."""
        return {kind: len(found) for kind, found in self.records.items()}


@dataclass(frozen=True)
class PersonalData:
    """What a service declares: how it finds a caller's data, and how it marks what is erased."""

    held: Callable[[Store, Caller], Awaitable[list[Held]]]
    of_persons: Callable[[Store, Sequence[PersonId]], Awaitable[list[Held]]]
    """The same for persons who are named: a backup that is restored has some who were erased since."""
    mark: Callable[[Store, Held], Awaitable[None]]
    """After the keys are gone: nothing is left to match by, and an event says so. It can be repeated."""
    own_keys: bool = True
    """Whether the persons were made by this service. Another's are only forgotten here: their keys are
    what that service's records need, and it alone deletes them."""


SELF, RESTORED = Actor("self", Role.RESIDENT), Actor("restored")
"""Who asked for it, in the proof: a person's account is personal and is not written there. Or the list of
erasures, applied to a restored backup."""


class Erasure(Document):
    """The proof of what was erased: how much of which kind, when, and who asked for it. The id is the
    person's."""

    collection: ClassVar[str] = "erasures"

    records: Annotated[dict[str, int], Most(64)]
    at: datetime
    by: str = SELF.id
    role: Role | None = None
    """The one that they acted in."""


class HeldView(BaseModel):
    """What is held about one person."""

    person: PersonId
    records: Records
    kept: bool
    """Whether an erasure leaves it."""


class ErasureView(BaseModel):
    """What was erased of one person."""

    person: PersonId
    records: dict[str, int]
    at: datetime
    by: str
    role: Role | None


def router(data: PersonalData) -> Router:
    """The two routes that every service with personal data has."""
    routes = Router(prefix="/me", tags=["persons"])

    @routes.get("", summary="查阅本人信息 / What is held about me")
    async def read(caller: Resident, store: StoreDep) -> list[HeldView]:
        return [HeldView(**held._asdict()) for held in await data.held(store, caller)]

    @routes.post("/erase", summary="删除本人信息 / Erase me")
    async def erase(caller: FreshResident, store: StoreDep) -> list[ErasureView]:
        async def erase_all() -> list[ErasureView]:
            found = await data.held(store, caller)
            return [await _erase(store, data, held) for held in found if not held.kept]

        return await store.once(erase_all)

    return routes


async def _erase(store: Store, data: PersonalData, held: Held) -> ErasureView:
    proof = await _proven(store, held.person, held.counts, SELF)
    if data.own_keys:
        await store.vault.erase(held.person)
    await data.mark(store, held)
    return ErasureView(person=held.person, **proof.model_dump(include={"records", "at", "by", "role"}))


async def erase_again(store: Store, data: PersonalData, persons: Sequence[PersonId]) -> int:
    """Mark again what a restored backup has of persons who were erased. Returns how many those were."""
    found = await data.of_persons(store, persons)
    for held in found:
        await _proven(store, held.person, held.counts, RESTORED)
        await data.mark(store, held)
    return len(found)


async def erase_keys(store: Store, person: PersonId, records: dict[str, int], by: Actor = SELF) -> None:
    """Leave the proof, then delete the keys: after a crash in between, whoever asks again finds the rest.

    What the caller is matched by must go after this, so that the request can be repeated. `records`:
    how much of which kind; `by`: who asked for it. Raises Unavailable.
    """
    await _proven(store, person, records, by)
    await store.vault.erase(person)
    part()


async def _proven(store: Store, person: PersonId, records: dict[str, int], by: Actor) -> Erasure:
    """The proof; that of the first time where there is one."""
    proof = Erasure(id=person, records=records, at=now(), by=by.id, role=by.role)
    try:
        await store.commit(proof)
    except AlreadyExists:
        proof = await store.load(Erasure, person)
    reason = by.id if by == RESTORED else "staff" if by.role not in (None, Role.RESIDENT) else "self"
    security_log.record(Kind.ERASURE, reason)
    return proof
