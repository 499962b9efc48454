"""Workflows: which moves are legal, whose work queue a state stands in, and the history of the moves."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from shared.problems import Problem


class IllegalMove(Problem):
    """The state does not allow it; `state` and `legal` (the moves that are) tell the caller what is."""

    status, type = 409, "illegal-move"
    title, title_en = "当前状态不允许此操作", "The state does not allow this"


class Transition(BaseModel):
    """One entry of the history: who, when, from, to, why."""

    model_config = ConfigDict(frozen=True)

    move: str
    source: str
    target: str
    at: datetime
    by: str | None = None
    why: str | None = None


class Move(NamedTuple):
    """From one of some states to another."""

    sources: tuple[StrEnum, ...]
    target: StrEnum


class Moving(Protocol):
    """What a workflow moves: its `state`, and a `history` that only grows."""

    state: Any
    history: list[Transition]


class Workflow:
    """`queues` names, for every state that is not terminal, the one role whose turn it is."""

    def __init__(self, moves: Mapping[str, Move], queues: Mapping[StrEnum, str]) -> None:
        self.moves = moves
        self.queues = queues
        states = {state for move in moves.values() for state in (*move.sources, move.target)}
        left = {state for move in moves.values() for state in move.sources}
        if left != set(queues):
            raise ValueError(f"states without exactly one queue: {sorted(left ^ set(queues))}")
        self.terminal = states - left

    def legal(self, state: StrEnum) -> list[str]:
        """The moves that a state allows."""
        return [name for name, move in self.moves.items() if state in move.sources]

    def check(self, subject: Moving, name: str) -> None:
        """Raises IllegalMove when the move is not legal now."""
        if subject.state not in self.moves[name].sources:
            raise IllegalMove(state=subject.state, legal=self.legal(subject.state), move=name)

    def move(
        self, subject: Moving, name: str, at: datetime, *, by: str | None = None, why: str | None = None
    ) -> None:
        """Make a move and write it into the history. Raises IllegalMove."""
        self.check(subject, name)
        move = self.moves[name]
        step = Transition(move=name, source=subject.state, target=move.target, at=at, by=by, why=why)
        subject.history = [*subject.history, step]
        subject.state = move.target
