from datetime import UTC, datetime
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from shared.workflow import IllegalMove, Move, Transition, Workflow

NOW = datetime(2026, 3, 8, tzinfo=UTC)


class State(StrEnum):
    OPEN = "open"
    CLAIMED = "claimed"
    DONE = "done"
    DROPPED = "dropped"


TASK = Workflow(
    {
        "claim": Move((State.OPEN,), State.CLAIMED),
        "lapse": Move((State.CLAIMED,), State.OPEN),
        "finish": Move((State.CLAIMED,), State.DONE),
        "drop": Move((State.OPEN, State.CLAIMED), State.DROPPED),
    },
    queues={State.OPEN: "coordinator", State.CLAIMED: "volunteer"},
)


class Task(BaseModel):
    state: State = State.OPEN
    history: list[Transition] = Field(default_factory=list)


@given(st.lists(st.sampled_from(sorted(TASK.moves)), max_size=30))
def test_whatever_is_tried_only_legal_moves_change_the_state_and_the_history_only_grows(
    names: list[str],
) -> None:
    task = Task()
    for name in names:
        state, history = task.state, list(task.history)
        legal = TASK.legal(state)
        try:
            TASK.move(task, name, NOW, by="someone")
        except IllegalMove as refused:
            assert name not in legal
            assert (task.state, task.history) == (state, history)
            assert refused.facts == {"state": state, "legal": legal, "move": name}
        else:
            assert name in legal
            assert task.state == TASK.moves[name].target
            assert task.history[:-1] == history
            step = task.history[-1]
            assert (step.move, step.source, step.target, step.by) == (name, state, task.state, "someone")
    assert [step.target for step in task.history[:-1]] == [step.source for step in task.history[1:]]


@given(st.lists(st.sampled_from(sorted(TASK.moves)), max_size=30))
def test_every_state_is_terminal_or_stands_in_one_queue(names: list[str]) -> None:
    task = Task()
    for name in names:
        if name in TASK.legal(task.state):
            TASK.move(task, name, NOW)
    assert (task.state in TASK.terminal) != (task.state in TASK.queues)
    assert bool(TASK.legal(task.state)) == (task.state in TASK.queues)


@pytest.mark.parametrize(
    "queues",
    [
        {State.OPEN: "coordinator"},
        {State.OPEN: "coordinator", State.CLAIMED: "volunteer", State.DONE: "family"},
    ],
)
def test_a_workflow_says_whose_turn_it_is_in_every_state_that_is_not_terminal(
    queues: dict[State, str],
) -> None:
    with pytest.raises(ValueError, match="without exactly one queue"):
        Workflow(TASK.moves, queues)
