"""Several documents, changed as one: all of them are stored with their events, or none.

    async with store.together(StepView.of) as unit:
        referral, slot = await unit.load(Referral, one), await unit.load(Slot, other)
        referral.book_consult(slot.id, …)
        slot.book(referral.id, …)
    return unit.answer

Each is stored if nobody has changed it since it was read, those too that were only looked at: what they said
still holds then. `@repeated()` around it reads all anew where somebody was faster.
"""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from pydantic import BaseModel

from shared.model.documents import Document
from shared.model.problems import Problem

if TYPE_CHECKING:
    from shared.store.store import Store

A = TypeVar("A", bound=BaseModel | Problem)
D = TypeVar("D", bound=Document)


class Unit(Generic[A]):
    """Made by `Store.together`. What is added is stored when the block ends, in the order it was added."""

    answer: A
    """Made from the first document, once all are stored."""

    def __init__(self, store: "Store", answer: Callable[[Any], A]) -> None:
        self._store = store
        self._answer = answer
        self._documents: list[Document] = []

    async def load(self, model: type[D], document_id: str) -> D:
        """A document that belongs to it. Raises NotFound."""
        return self.add(await self._store.load(model, document_id))

    def add(self, document: D) -> D:
        """A document that belongs to it too: a new one, or one that was found in another way. Raises
        TypeError for one that it has."""
        if any((type(one), one.id) == (type(document), document.id) for one in self._documents):
            raise TypeError(f"{type(document).__name__} {document.id} is in the unit twice")
        self._documents.append(document)
        return document

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, error: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Store them all. Raises as `Store.commit` does; TypeError where there is none."""
        if error is None:
            if not self._documents:
                raise TypeError("nothing was added to the unit")
            first, *others = self._documents
            self.answer = await self._store.commit_all(first, *others, answer=self._answer)
