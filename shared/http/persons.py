"""What a person may ask of every service: what it holds about them, and to be erased (PIPL art. 45, 47).

What that is follows from the documents: `known_by`, `part_of`, `forget`, `kept`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel

from shared import security_log
from shared.http.access import Caller, Role
from shared.http.belonging import MOST, belonging, of_persons, parts_of
from shared.http.callers import FreshResident, Resident
from shared.http.parameters import StoreDep
from shared.http.routes import Router
from shared.model.clock import now
from shared.model.documents import Document, Most
from shared.model.known import keyed_fields
from shared.model.personal import PersonId
from shared.model.problems import AlreadyExists
from shared.model.workflow import Actor
from shared.security_log import Kind
from shared.store.request_keys import part
from shared.store.store import Store

AT_A_TIME = 500
"""Persons that are looked for with one query."""
SELF, RESTORED = Actor("self", Role.RESIDENT), Actor("restored")
"""Who asked for it, in the proof: a person's account is personal and is not written there. Or the list of
erasures, applied to a restored backup."""


@dataclass(frozen=True)
class PersonalData:
    """What a service does with personal data beyond what its documents declare."""

    own_keys: bool = True
    """Whether the persons were made by this service. Another's are only forgotten here: their keys are
    what that service's records need, and it alone deletes them."""
    before_shown: Callable[[Store, Caller, Any], Awaitable[object]] | None = None
    """What happens before a record is shown to whom it is about; what it raises is answered in its place."""
    shown: Mapping[type[Document], Callable[[Any], dict[str, Any]]] = field(default_factory=dict)
    """How documents of a class are shown, where that is not all of them but the keyed hashes."""
    forget: Mapping[type[Document], Callable[[Store, str], Awaitable[object]]] = field(default_factory=dict)
    """How a record (its id) is forgotten, where more changes with it. It can be repeated."""


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
    """What is held about the caller as one person: a vault's person is one relation, e.g. one pledge."""

    person: PersonId
    records: dict[str, list[dict[str, Any]]]
    """By kind (the collection's name): the documents, opened."""
    kept: bool
    """Whether an erasure leaves it: what protects others, such as an entry on a list against fraud."""


class ErasureView(BaseModel):
    """What was erased of one person."""

    person: PersonId
    records: dict[str, int]
    at: datetime
    by: str
    role: Role | None


@dataclass(frozen=True)
class Persons:
    """What a service holds about persons: found, shown and forgotten as its documents declare it."""

    models: Sequence[type[Document]]
    data: PersonalData

    async def read(self, store: Store, caller: Caller) -> list[HeldView]:
        """Everything that is held about the caller, opened."""
        found = [document for model in self.models for document in await belonging(store, model, caller)]
        return [await self._opened(store, caller, document) for document in found]

    async def _opened(self, store: Store, caller: Caller, document: Document) -> HeldView:
        if self.data.before_shown and not document.kept:
            await self.data.before_shown(store, caller, document)
        records = {type(document): [document]}
        for model, where in parts_of(document, self.models).items():
            records[model] = await store.select(model, where, sort=[("_id", -1)], limit=MOST)
        await store.unseal(*(one for found in records.values() for one in found))
        return HeldView(
            person=_person(document),
            records={model.collection: [*map(self._shown, found)] for model, found in records.items()},
            kept=bool(document.kept),
        )

    def _shown(self, document: Document) -> dict[str, Any]:
        if show := self.data.shown.get(type(document)):
            return show(document)
        if document.kept:
            return document.model_dump(mode="json", include={"id", *document.kept})
        return document.model_dump(mode="json", exclude=set(keyed_fields(type(document))))

    async def erase(self, store: Store, caller: Caller) -> list[ErasureView]:
        """Erase the caller: the proof, then the keys, then what she is known by. It can be repeated."""
        found = [d for model in self._erased for d in await belonging(store, model, caller)]
        return [await self._erase(store, document) for document in found]

    async def _erase(self, store: Store, document: Document) -> ErasureView:
        proof = await _proven(store, document, self.models, SELF)
        if self.data.own_keys:
            await store.vault.erase(_person(document))
        await self._forget(store, document)
        return ErasureView(person=proof.id, **proof.model_dump(include={"records", "at", "by", "role"}))

    async def erase_again(self, store: Store, persons: Sequence[PersonId]) -> int:
        """Mark again what a restored backup has of persons who were erased. Returns how many records that
        was."""
        done = 0
        for start in range(0, len(persons), AT_A_TIME):
            for model in self._erased:
                for document in await of_persons(store, model, persons[start : start + AT_A_TIME]):
                    await _proven(store, document, self.models, RESTORED)
                    await self._forget(store, document)
                    done += 1
        return done

    @property
    def _erased(self) -> list[type[Document]]:
        """The classes that an erasure looks through."""
        return [model for model in self.models if model.known_by and not model.kept]

    async def _forget(self, store: Store, document: Document) -> None:
        model = type(document)
        if forget := self.data.forget.get(model):
            await forget(store, document.id)
        else:
            await store.change(model, document.id, lambda found: found.forget(now()))


def router(persons: Persons) -> Router:
    """The two routes that every service with personal data has."""
    routes = Router(prefix="/me", tags=["persons"])

    @routes.get("", summary="查阅本人信息 / What is held about me")
    async def read(caller: Resident, store: StoreDep) -> list[HeldView]:
        return await persons.read(store, caller)

    @routes.post("/erase", summary="删除本人信息 / Erase me")
    async def erase(caller: FreshResident, store: StoreDep) -> list[ErasureView]:
        return await store.once(lambda: persons.erase(store, caller))

    return routes


async def erase_keys(store: Store, document: Document, by: Actor = SELF) -> None:
    """Erase whom one record is about, by a route of its own: leave the proof, then delete the keys.

    What the caller is matched by must go after this, so that the request can be repeated: after a crash in
    between, whoever asks again finds the rest. `by`: who asked for it. Raises Unavailable.
    """
    await _proven(store, document, store.models, by)
    await store.vault.erase(_person(document))
    part()


async def _proven(store: Store, document: Document, models: Sequence[type[Document]], by: Actor) -> Erasure:
    """The proof of how much there is of whom a record is about; that of the first time where there is one."""
    records = {document.collection: 1}
    for model, where in parts_of(document, models).items():
        records[model.collection] = await store.count(model, where, limit=MOST)
    proof = Erasure(id=_person(document), records=records, at=now(), by=by.id, role=by.role)
    try:
        await store.commit(proof)
    except AlreadyExists:
        proof = await store.load(Erasure, proof.id)
    reason = by.id if by == RESTORED else "staff" if by.role not in (None, Role.RESIDENT) else "self"
    security_log.record(Kind.ERASURE, reason)
    return proof


def _person(document: Document) -> PersonId:
    """Whom a record is about; the record itself, where nobody is named."""
    return document.person_id or document.id
