"""One document, as the caller of a route may read or change it.

    async def hold(talk_id: str, body: Held, caller: Officer, change: Change) -> TalkView:
        by = Actor.of(caller)
        return await change(Talk, talk_id, lambda talk: talk.hold(body.attendees, now(), by), TalkView.of)

Loaded, held against what the caller reaches and against `If-Match`, changed by its rule, committed with its
events, answered with its new version; again from the start where somebody else was faster.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel

from shared.http.access import Caller, Role
from shared.http.acting import ACTING, Forbidden
from shared.http.parameters import IfMatch, StoreDep
from shared.http.proofs import proven_since
from shared.model.documents import Document
from shared.model.problems import NotFound, Problem
from shared.store.attempts import repeated
from shared.store.store import Store, check_version

A = TypeVar("A", bound=BaseModel | Problem)
D = TypeVar("D", bound=Document)


async def reached(
    store: Store, caller: Caller, model: type[D], document_id: str, *, if_match: str | None = None
) -> D:
    """A document that the caller, in the role that they act in, has to do with.

    Raises NotFound, whether there is none or it is not theirs; Forbidden for what is public; StaleVersion.
    """
    document = await store.load(model, document_id)
    check_reached(store, caller, document)
    check_version(document, if_match)
    return document


def check_reached(store: Store, caller: Caller, document: Document) -> None:
    """Raises NotFound for a document that is not the caller's to know of; Forbidden for a public one."""
    own = caller.role is Role.RESIDENT
    blind, since = store.vault.blind_index, proven_since()
    if not (document.reached_by(blind, caller, since) if own else document.concerns(caller)):
        if document.public:
            raise Forbidden(division=document.place)
        raise NotFound(kind=document.collection)


class Changing:
    """What a route needs to change one document."""

    def __init__(self, request: Request, store: Store, if_match: str | None) -> None:
        self._request = request
        self.store = store
        self.if_match = if_match

    @property
    def caller(self) -> Caller | None:
        """None on a route that is open to the public: there the rule of the document checks who may."""
        return self._request.scope.get(ACTING)

    async def load(self, model: type[D], document_id: str) -> D:
        """The document, in the version that the caller knows. Raises as `reached`."""
        if self.caller is None:
            return await self.store.load(model, document_id, if_match=self.if_match)
        return await reached(self.store, self.caller, model, document_id, if_match=self.if_match)

    @repeated()
    async def __call__(
        self, model: type[D], document_id: str, rule: Callable[[D], object], answer: Callable[[D], A]
    ) -> A:
        """Apply a rule. Raises as `reached` and as the rule does."""
        document = await self.load(model, document_id)
        rule(document)
        return await self.store.commit(document, answer)


async def changing(request: Request, store: StoreDep, if_match: IfMatch = None) -> Changing:
    """The dependency behind `Change`."""
    return Changing(request, store, if_match)


Change = Annotated[Changing, Depends(changing)]
"""`change: Change` in the signature of a route that changes one document."""
