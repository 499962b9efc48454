"""How a service says what it reacts to."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

from shared.consumers.transaction import Transaction
from shared.model.documents import Document, Index
from shared.model.events import Event

E = TypeVar("E", bound=Event)
Handler = Callable[[Any, Transaction], Awaitable[None]]
Loads = Callable[[Any], tuple[type[Document], str]]
"""Names the document that the handler of an event will load: class and id."""


class Consumer:
    """A consumer group and its handlers.

    `tables` are collections that hold nothing but what the handlers derive from events: `replay` can
    rebuild them beside the live ones. `followed`: those of them that can be asked what changed since when
    (see `tables.py`).
    """

    def __init__(
        self,
        group: str,
        *,
        tables: dict[str, Sequence[Index]] | None = None,
        followed: Collection[str] = (),
    ) -> None:
        self.group = group
        self.tables = tables or {}
        self.followed = frozenset(followed)
        self.handlers: dict[type[Event], Handler] = {}
        self.loads: dict[type[Event], Loads] = {}
        self.opens: set[type[Event]] = set()

    def on(
        self, *events: type[E], loads: Loads | None = None, opens: bool = False
    ) -> Callable[[Callable[[E, Transaction], Awaitable[None]]], Callable[[E, Transaction], Awaitable[None]]]:
        """`@consumer.on(PledgeSigned)`: handle an event. The handler succeeds or raises, no more.

        `loads`: which document it will `tx.load`; those of a batch are then read with one query per class.
        `opens`: it sees what is sealed in the event; the box itself stays with it.
        """

        def register(
            handler: Callable[[E, Transaction], Awaitable[None]],
        ) -> Callable[[E, Transaction], Awaitable[None]]:
            for event in events:
                if event in self.handlers:
                    raise TypeError(f"{self.group} handles {event.type} twice")
                self.handlers[event] = handler
                if loads:
                    self.loads[event] = loads
                if opens:
                    self.opens.add(event)
            return handler

        return register

    @property
    def sources(self) -> list[str]:
        """The services whose events it reads."""
        return sorted({event.source for event in self.handlers})
