from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import BaseModel, Field

from shared.model.roles import Role
from shared.model.workflow import LASTS, Actor, IllegalMove, Move, Queue, Transition, Workflow

NOW = datetime(2026, 3, 8, tzinfo=UTC)


class State(StrEnum):
    OPEN = "open"
    CLAIMED = "claimed"
    DONE = "done"
    DROPPED = "dropped"


MOVES = {
    "claim": Move((State.OPEN,), State.CLAIMED),
    "lapse": Move((State.CLAIMED,), State.OPEN),
    "finish": Move((State.CLAIMED,), State.DONE),
    "drop": Move((State.OPEN, State.CLAIMED), State.DROPPED),
}
ACTORS = (Actor("signer"), Actor("officer", Role.COUNTY_OFFICER), None)
NAMES = tuple("abcdef")
moves = st.builds(
    Move,
    st.lists(st.sampled_from(State), min_size=1, max_size=3, unique=True).map(tuple),
    st.sampled_from(State),
    st.just(False),  # its histories are short
)


def _said(by: Actor | None) -> dict[str, str | None]:
    return {"by": by.id, "role": by.role} if by else {}


class Task(BaseModel):
    state: State
    history: list[Transition] = Field(default_factory=list)


class AnyWorkflow(RuleBasedStateMachine):
    """Any workflow there can be, one task in it, and whoever tries whatever move.

    What must be legal is worked out here from the table, and not asked of the workflow.
    """

    @initialize(
        table=st.dictionaries(st.sampled_from(NAMES), moves, min_size=1), first=st.sampled_from(State)
    )
    def a_task_begins(self, table: dict[str, Move], first: State) -> None:
        self.table = table
        self.left = {state for move in table.values() for state in move.sources}
        queues = {state: Queue(f"{state}-queue", Role.RESIDENT) for state in self.left}
        self.workflow = Workflow(table, queues, dict.fromkeys(self.left, LASTS))
        self.task, self.first, self.made, self.at = Task(state=first), first, list[str](), NOW

    @rule(
        pick=st.integers(0, 99),
        by=st.sampled_from(ACTORS),
    )
    def a_move_is_tried(self, pick: int, by: Actor | None) -> None:
        name = sorted(self.table)[pick % len(self.table)]
        before = self.task.model_copy(deep=True)
        legal = {name for name, move in self.table.items() if before.state in move.sources}
        self.at += timedelta(minutes=1)
        try:
            self.workflow.move(self.task, name, self.at, by=by, why="因故")
        except IllegalMove as refused:
            assert name not in legal
            assert self.task == before
            assert (refused.facts["state"], set(refused.facts["legal"])) == (before.state, legal)
        else:
            assert name in legal
            self.made.append(name)
            assert self.task.history[:-1] == before.history
            expected = {"move": name, "source": before.state, "target": self.table[name].target}
            assert self.task.history[-1] == Transition(**expected, **_said(by), at=self.at, why="因故")

    @invariant()
    def the_history_leads_to_the_state(self) -> None:
        steps = self.task.history
        assert [step.move for step in steps] == self.made
        assert [step.source for step in steps] == [self.first, *(step.target for step in steps)][:-1]
        assert self.task.state == (steps[-1].target if steps else self.first)

    @invariant()
    def it_is_somebodys_turn_or_nothing_is_left_to_do(self) -> None:
        waits = self.task.state in self.left
        assert bool(self.workflow.legal(self.task.state)) == waits
        assert (self.task.state in self.workflow.queues) == waits
        assert (self.task.state in self.workflow.terminal) <= (not waits)


TestAnyWorkflow = AnyWorkflow.TestCase
TestAnyWorkflow.settings = settings(
    max_examples=60, stateful_step_count=15, derandomize=True, database=None, deadline=None
)


WAITS = Queue("coordinator", Role.COORDINATOR)


@pytest.mark.parametrize(
    "queues",
    [
        {State.OPEN: WAITS},
        {State.OPEN: WAITS, State.CLAIMED: WAITS, State.DONE: WAITS},
    ],
)
def test_a_workflow_says_whose_turn_it_is_in_every_state_that_is_not_terminal(
    queues: dict[State, Queue],
) -> None:
    with pytest.raises(ValueError, match="without exactly one queue"):
        Workflow(MOVES, queues)


def test_a_state_that_waits_for_a_resident_says_how_it_ends() -> None:
    moves = {"answer": Move((State.OPEN,), State.DONE), "lapse": Move((State.CLAIMED,), State.DROPPED)}
    queues = {
        State.OPEN: Queue("family", Role.RESIDENT),
        State.CLAIMED: Queue("coordinator", Role.COORDINATOR),
    }
    with pytest.raises(ValueError, match="how they end"):
        Workflow(moves, queues)
    with pytest.raises(ValueError, match="lapse is no move of open"):
        Workflow(moves, queues, {State.OPEN: "lapse"})
    assert Workflow(moves, queues, {State.OPEN: "answer"}).ending == {"answer"}
    assert Workflow(moves, queues, {State.OPEN: LASTS}).ending == set()
