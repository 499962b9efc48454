"""Which documents belong to somebody, and what is part of them: their classes declare it, here it is read."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from shared.http.proofs import proven_since
from shared.model.documents import Document
from shared.model.personal import PersonId
from shared.model.roles import Account
from shared.store.store import Store

D = TypeVar("D", bound=Document)
Parts = Mapping[type[Document], Mapping[str, Any]]
"""The classes whose documents are part of one document, and the query that finds them."""
MOST = 1000
"""Documents of a class that belong to one person, and parts of one of them, that are shown."""


async def belonging(store: Store, model: type[D], who: Account) -> list[D]:
    """The documents of a class that are somebody's: by their account, and by their verified phone while that
    stands for who proved it. None for a class that nobody finds."""
    blind = store.vault.blind_index
    ways = [{way.field: {"$eq": key, "$gt": ""}} for way in model.known_by if (key := way.key(blind, who))]
    # Apart, so that forms which others typed her phone into do not crowd out what is her account's.
    some = await asyncio.gather(*(store.select(model, way, limit=MOST) for way in ways))
    found = {document.id: document for documents in some for document in documents}
    return [document for document in found.values() if document.reached_by(blind, who, proven_since())]


async def of_persons(store: Store, model: type[D], persons: Sequence[PersonId]) -> list[D]:
    """The documents of a class that are some persons', however they are known."""
    field = "_id" if model.person_field == "id" else model.person_field
    return await store.select(model, {field: {"$in": list(persons)}}, limit=0) if field else []


def parts_of(document: Document, models: Sequence[type[Document]]) -> Parts:
    """What is part of a document, among the classes of a service."""
    return {
        model: {model.part_of.field: document.id}
        for model in models
        if model.part_of and model.part_of.whole is type(document)
    }
