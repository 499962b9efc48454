"""Workflows: which moves are legal, whose work queue a state stands in, and the history of the moves."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict

from shared.model.documents import Most
from shared.model.problems import Full, Problem
from shared.model.roles import Caller, Role

MOST_STEPS = 200
"""Moves after which a record can only be ended: far more than any that is handled by people."""
ALWAYS = 20
"""Moves that are left then for what ends it, and for what gives back (see `Move.always`)."""

LASTS = ""
"""In place of a move: nothing has to happen any more, so the state may last."""


class IllegalMove(Problem):
    """The state does not allow it; `state` and `legal` (the moves that are) tell the caller what is."""

    status, type = 409, "illegal-move"
    title, title_en = "当前状态不允许此操作", "The state does not allow this"


class Actor(NamedTuple):
    """Who makes a move, as the history says it: never a person's account."""

    id: str
    role: Role | None = None
    """The one that they act in; None for a signer, who needs no account, and for the platform itself."""

    @classmethod
    def of(cls, caller: Caller, resident: str = "resident") -> Self:
        """Whoever calls. `resident`: what residents are called, whose account's id is personal."""
        return cls(resident if caller.role is Role.RESIDENT else caller.id, caller.role)


class Transition(BaseModel):
    """One entry of the history: who, in which role, when, from, to, why."""

    model_config = ConfigDict(frozen=True)

    move: str
    source: str
    target: str
    at: datetime
    by: str | None = None
    role: Role | None = None
    why: str | None = None


History = Annotated[list[Transition], Most(MOST_STEPS + ALWAYS)]
"""`history: History = Field(default_factory=list)` in a document that a workflow moves."""


class Move(NamedTuple):
    """From one of some states to another."""

    sources: tuple[StrEnum, ...]
    target: StrEnum
    always: bool = False
    """Whether it is possible with a full history too: what gives back must never be refused. It may follow
    only on a move that is not so, or it would have no bound. What ends a record always is."""


class Moving(Protocol):
    """What a workflow moves: its `state`, and a `history` that only grows."""

    state: Any
    history: list[Transition]


class Queue(str):
    """A work queue: its name, and the roles who take from it; none: the platform itself does."""

    roles: frozenset[Role]

    def __new__(cls, name: str, *roles: Role) -> Self:
        queue = super().__new__(cls, name)
        queue.roles = frozenset(roles)
        return queue

    @property
    def of_residents(self) -> bool:
        """Whether it is a resident's turn: she finds what is her own, and may never come back to it."""
        return Role.RESIDENT in self.roles


class Workflow:
    """`queues` names, for every state that is not terminal, the one queue that it stands in.

    `ends` names, for every state that waits for a resident, the move by which it ends by itself, or LASTS:
    what waits for somebody who does not come back would hang for ever once a window has closed.
    """

    def __init__(
        self,
        moves: Mapping[str, Move],
        queues: Mapping[StrEnum, Queue],
        ends: Mapping[StrEnum, str] | None = None,
    ) -> None:
        self.moves = moves
        self.queues = queues
        self.ends = ends or {}
        states = {state for move in moves.values() for state in (*move.sources, move.target)}
        left = {state for move in moves.values() for state in move.sources}
        if left != set(queues):
            raise ValueError(f"states without exactly one queue: {sorted(left ^ set(queues))}")
        self.states = states
        self.terminal = states - left
        _check_bounded(moves)
        _check_ends(moves, queues, self.ends)

    @property
    def ending(self) -> set[str]:
        """The moves that a deadline makes."""
        return set(self.ends.values()) - {LASTS}

    def legal(self, state: StrEnum) -> list[str]:
        """The moves that a state allows."""
        return [name for name, move in self.moves.items() if state in move.sources]

    def check(self, subject: Moving, name: str) -> None:
        """Raises IllegalMove when the move is not legal now."""
        if subject.state not in self.moves[name].sources:
            raise IllegalMove(state=subject.state, legal=self.legal(subject.state), move=name)

    def move(
        self, subject: Moving, name: str, at: datetime, *, by: Actor | None = None, why: str | None = None
    ) -> None:
        """Make a move and write it into the history. Raises IllegalMove, Full."""
        self.check(subject, name)
        move = self.moves[name]
        if len(subject.history) >= MOST_STEPS and not (move.always or move.target in self.terminal):
            raise Full(what="history", most=MOST_STEPS)
        who, role = by or (None, None)
        step = Transition(
            move=name, source=subject.state, target=move.target, at=at, by=who, role=role, why=why
        )
        subject.history = [*subject.history, step]
        subject.state = move.target


def _check_bounded(moves: Mapping[str, Move]) -> None:
    steps = {(source, move.target) for move in moves.values() if move.always for source in move.sources}
    while last := {step for step in steps if step[1] not in {source for source, _ in steps}}:
        steps -= last
    if steps:
        raise ValueError(f"moves that are always possible go round in circles: {sorted(steps)}")


def _check_ends(
    moves: Mapping[str, Move], queues: Mapping[StrEnum, Queue], ends: Mapping[StrEnum, str]
) -> None:
    hanging = {state for state, queue in queues.items() if queue.of_residents} - set(ends)
    if hanging:
        raise ValueError(f"states that wait for a resident and do not say how they end: {sorted(hanging)}")
    for state, move in ends.items():
        if move != LASTS and state not in moves[move].sources:
            raise ValueError(f"{move} is no move of {state}")
