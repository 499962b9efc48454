"""Moves under generated interleavings: pledges, talks and bulk invalidations on two replicas.

Of moves that exclude each other one is made. The history holds each move that was acknowledged once, and
no other; who is refused is told a state in which the move was really illegal.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.pledges.domain.fraud import ListEntry
from services.pledges.domain.invalidation import INVALIDATION, Invalidation
from services.pledges.domain.pledge import Pledge
from services.pledges.domain.states import PLEDGE
from services.pledges.domain.team import TALK, Member, Talk
from shared.model.clock import now
from shared.model.documents import Document
from shared.model.workflow import Workflow
from tests.kit.problems import problem
from tests.services.pledges.replicas import Act, Replicas, play
from tests.services.pledges.town import COMMUNITY, a_form, a_name

REASON = {"reason": "duplicate"}
PHONES = ("16500000001", "16500000002")


class Command(NamedTuple):
    """`{id}` in the path is the subject's; `makes` are the moves that its success writes."""

    path: str
    body: dict[str, Any]
    makes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Kind:
    """A class of documents with a workflow, and the commands that move them."""

    model: type[Document]
    workflow: Workflow
    commands: Sequence[Command]


PHONE = "16500000009"
KINDS = (
    Kind(
        Pledge,
        PLEDGE,
        (
            Command("/signings/{id}/verify", {"code": ""}, ("verify", "count")),
            Command("/signings/{id}/withdraw", {}, ("withdraw",)),
            Command("/reviews/{id}/invalidate", REASON, ("invalidate",)),
        ),
    ),
    Kind(
        Talk,
        TALK,
        (
            Command("/talks/{id}/hold", {"attendees": 128}, ("hold",)),
            Command("/talks/{id}/cancel", REASON, ("cancel",)),
        ),
    ),
    Kind(
        Invalidation,
        INVALIDATION,
        (
            Command("/invalidations/{id}/start", {}, ("start",)),
            Command("/invalidations/{id}/cancel", {}, ("cancel",)),
        ),
    ),
)
tries = st.lists(
    st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 1), st.integers(0, 3)),
    min_size=3,
    max_size=10,
)
"""A subject and a command (a pick each), a replica, and the milliseconds after which it is sent."""


class Moves(RuleBasedStateMachine):
    """`histories`: the moves each subject has made, as last seen."""

    town: ClassVar[Replicas]

    @initialize()
    def a_campaign_opens(self) -> None:
        self.histories: dict[tuple[Kind, str], list[str]] = {}
        self.town.run(self.begin())

    async def begin(self) -> None:
        done, self.campaign = self.town.done, await self.town.campaign()
        team = {"division": COMMUNITY, "name": "一队"}
        self.team = (await done(f"/campaigns/{self.campaign}/teams", team))["id"]
        member = {"name": "李梅", "phone": "16500000008", "role": "preacher"}
        self.preacher = (await done(f"/teams/{self.team}/members", member))["id"]

    async def come(self) -> None:
        """A new subject of each kind."""
        form = a_form(phone=PHONE, name=a_name(len(self.histories)))
        talk = {"title": "公筷公勺好处多", "starts_at": (now() - timedelta(hours=1)).isoformat()}
        nobody = {"campaign_id": self.campaign, "role": "party-member"}  # what it covers would be held
        job = {"condition": nobody, **REASON}
        made = (
            await self.town.done(f"/campaigns/{self.campaign}/pledges", form),
            await self.town.done(f"/teams/{self.team}/talks", talk | {"preacher_id": self.preacher}),
            await self.town.done("/invalidations", job),
        )
        self.histories |= {(kind, view["id"]): [] for kind, view in zip(KINDS, made, strict=True)}

    @rule(tries=tries)
    def moves_are_tried(self, tries: list[tuple[int, int, int, int]]) -> None:
        self.town.run(self.come())
        newest = list(self.histories)[-6:]
        subjects = [newest[pick % len(newest)] for pick, *_ in tries]
        chosen = [s[0].commands[t[1] % len(s[0].commands)] for s, t in zip(subjects, tries, strict=True)]
        codes = self.town.run(self.town.codes(i for kind, i in subjects if kind.model is Pledge))
        acts = [
            Act(t[2], c.path.format(id=i), c.body | ({"code": codes[i]} if "code" in c.body else {}), t[3])
            for (_, i), c, t in zip(subjects, chosen, tries, strict=True)
        ]
        before = {subject: list(self.histories[subject]) for subject in subjects}
        answers = self.all_at_once(acts)
        made = {subject: Counter[str]() for subject in subjects}
        for subject, command, answer in zip(subjects, chosen, answers, strict=True):
            if answer.is_success:
                made[subject].update(command.makes)
            elif problem(answer) == "illegal-move":
                self.really_illegal(subject, command, answer)
        for subject, moves in made.items():
            after = self.town.run(self.history(subject))
            assert after[: len(before[subject])] == before[subject]
            assert Counter(after[len(before[subject]) :]) == moves
            self.histories[subject] = after

    def really_illegal(self, subject: tuple[Kind, str], command: Command, answer: httpx.Response) -> None:
        told, workflow = answer.json(), subject[0].workflow
        [state] = {state for state in (*workflow.queues, *workflow.terminal) if state == told["state"]}
        assert told["move"] in command.makes
        assert told["move"] not in workflow.legal(state) == told["legal"]

    @invariant()
    def every_history_was_legal_step_by_step(self) -> None:
        for kind, subject in self.histories:
            document: Any = self.town.run(self.town.store.load(kind.model, subject))
            targets = [step.target for step in document.history]
            assert [step.source for step in document.history][1:] == targets[:-1]
            assert all(step.source in kind.workflow.moves[step.move].sources for step in document.history)
            assert not targets or targets[-1] == document.state

    async def history(self, subject: tuple[Kind, str]) -> list[str]:
        document: Any = await self.town.store.load(subject[0].model, subject[1])
        return [step.move for step in document.history]

    # ── facts that there may be one of ───────────────────────────────────────────────────────────

    @rule(sent=st.lists(st.tuples(st.sampled_from(PHONES), st.integers(0, 1)), min_size=2, max_size=6))
    def the_same_people_join_a_team(self, sent: list[tuple[str, int]]) -> None:
        path, member = f"/teams/{self.team}/members", {"name": "李红", "role": "supervisor"}
        had = self.members()
        answers = self.all_at_once([Act(to, path, member | {"phone": phone}) for phone, to in sent])
        joined = sum(answer.is_success for answer in answers)
        assert self.members() == had + joined <= 1 + len(PHONES)

    def members(self) -> int:
        return self.town.run(self.town.store.count(Member, {"team_id": self.team}, limit=100))

    @rule(sent=st.lists(st.tuples(st.sampled_from(PHONES), st.integers(0, 1)), min_size=2, max_size=6))
    def the_same_phones_are_listed(self, sent: list[tuple[str, int]]) -> None:
        entry = {"kind": "allow", **REASON}
        answers = self.all_at_once([Act(to, "/listed-phones", entry | {"phone": p}) for p, to in sent])
        told = {answer.json()["id"] for answer in answers if answer.is_success}
        assert 1 <= len(told) <= len({phone for phone, _ in sent})
        assert self.town.run(self.town.store.count(ListEntry, {}, limit=100)) <= 1 + len(PHONES)

    def all_at_once(self, acts: Sequence[Act]) -> list[httpx.Response]:
        answers = [answer for answer in self.town.run(self.town.together(acts)) if answer is not None]
        assert all(answer.status_code < 500 for answer in answers), answers
        return answers


def test_of_moves_at_once_each_acknowledged_one_is_made_once_and_no_other(town_of_two: Replicas) -> None:
    entry = {"phone": PHONE, "kind": "allow", **REASON}
    town_of_two.run(town_of_two.done("/listed-phones", entry))
    Moves.town = town_of_two
    play(Moves, examples=5, steps=8)
