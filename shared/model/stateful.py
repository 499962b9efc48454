"""Documents that a workflow moves: their state, whose turn it is, and the history come with `flow`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from shared.model.clock import now
from shared.model.documents import Document, Index
from shared.model.workflow import Actor, History, Workflow

WORK = "work"
"""The index that the work queues are read by."""


class Stateful(Document):
    """A document in a state. A class states its `flow`, and `state` with the one it begins in.

    Raises TypeError for a class whose state is none of its workflow's.
    """

    flow: ClassVar[Workflow]

    state: Any
    history: History = Field(default_factory=list)
    since: datetime = Field(default_factory=now)
    """When it came into this state: the work queues are in this order."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.model_fields["state"].default not in cls.flow.states:
            raise TypeError(f"{cls.__name__} begins in no state of its workflow")
        own = [index for index in cls.indexes if index.name != WORK]
        cls.indexes = (*own, *_waiting(cls.flow))

    def move(self, name: str, at: datetime, *, by: Actor | None = None, why: str | None = None) -> None:
        """Make a move and write it into the history. Raises IllegalMove, Full."""
        self.flow.move(self, name, at, by=by, why=why)
        self.since = at

    def check(self, name: str) -> None:
        """Raises IllegalMove when the move is not legal now."""
        self.flow.check(self, name)

    @property
    def ended(self) -> bool:
        """Whether nothing can follow."""
        return self.state in self.flow.terminal

    @property
    def queue(self) -> str | None:
        """Whose turn it is; None at the end."""
        return self.flow.queues.get(self.state)

    @property
    def legal(self) -> list[str]:
        """The moves that are possible now."""
        return self.flow.legal(self.state)


def _waiting(flow: Workflow) -> tuple[Index, ...]:
    """What the work queues of officers are read by; a resident's records are found by who she is."""
    states = sorted(state for state, queue in flow.queues.items() if queue.roles and not queue.of_residents)
    where: Mapping[str, Any] = {"state": {"$in": states}}
    return (Index(WORK, [("state", 1), ("since", 1), ("_id", 1)], where=dict(where)),) if states else ()
