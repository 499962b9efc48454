"""Who may be counted, and how often, under generated interleavings on two replicas.

One household and one signer count once for each text; a phone is shared by those whose names differ; a
household checks in once a day. Every step sends commands of one kind at once.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from typing import Any, ClassVar, NamedTuple

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.pledges.domain.checkin import CheckIn
from services.pledges.domain.pledge import Pledge
from shared.city.days import local_day
from shared.model.clock import moved, now
from shared.model.doors import normal_door
from shared.model.names import normal_name
from shared.mongo.driver import Bson
from tests.kit.problems import problem
from tests.services.pledges.replicas import Act, Replicas, play
from tests.services.pledges.town import COMMUNITY, ELSEWHERE, a_form

PHONES = ("16600000001", "16600000002", "16600000003")
"""On the allow list: no limit of forms gets in the way of the others."""
DOORS = ("3幢2单元501室", "３-2-0501", "4-101", None)
"""The first two are one door."""
NAMES = ("王小明", "王 小明", "李红", "张梅")
"""The first two are one name."""
_keys = count()


class Signer(NamedTuple):
    """Who signs, for which household, and where the form goes."""

    community: str
    phone: str
    name: str
    door: str | None
    replica: int
    after: int
    twice: bool
    """The caller heard nothing in time, and sends it to the other replica too, with the same key."""


signers = st.builds(
    Signer,
    st.sampled_from((COMMUNITY, ELSEWHERE)),
    st.sampled_from(PHONES),
    st.sampled_from(NAMES),
    st.sampled_from(DOORS),
    st.integers(0, 1),
    st.integers(0, 4),
    st.booleans(),
)
chosen = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 1), st.integers(0, 4)), min_size=3, max_size=9)
Chosen = list[tuple[int, int, int]]
"""Pledges (a pick each), each with a replica and the milliseconds after which a command is sent to it."""


STEPS = (
    *["phones_are_proven"] * 4,
    *["households_check_in"] * 3,
    *["pledges_are_taken_back"],
    *["days_pass"],
    *["a_new_text_is_put_in_force"],
)
"""One rule chooses among them, for rules of their own are left out of many runs."""


class Households(RuleBasedStateMachine):
    """`identities`: by pledge, all that may be counted only once."""

    town: ClassVar[Replicas]

    def __init__(self) -> None:
        super().__init__()
        self.clock = ExitStack()
        self.phones: dict[str, str] = {}
        self.identities: dict[str, set[tuple[object, ...]]] = {}

    @initialize(handed_in=st.lists(signers, min_size=6, max_size=10))
    def a_campaign_opens(self, handed_in: list[Signer]) -> None:
        self.campaign, self.text = self.town.run(self.town.campaign()), 1
        self.forms_are_handed_in(handed_in)

    def teardown(self) -> None:
        self.clock.close()

    @rule(what=st.sampled_from(STEPS), chosen=chosen)
    def something_happens(self, what: str, chosen: Chosen) -> None:
        getattr(self, what)(chosen)

    def days_pass(self, chosen: Chosen) -> None:
        self.clock.enter_context(moved(timedelta(days=1 + len(chosen) % 2)))

    def a_new_text_is_put_in_force(self, _: Chosen) -> None:
        self.all_at_once([Act(0, f"/campaigns/{self.campaign}/texts", {"text": "我家餐餐用公筷公勺。"})])
        self.text += 1

    @rule(handed_in=st.lists(signers, min_size=2, max_size=6))
    def forms_are_handed_in(self, handed_in: list[Signer]) -> None:
        """A form that is sent twice under one key is one pledge, and both callers hear of that one."""
        acts = [act for signer in handed_in for act in self.signing(signer)]
        made: dict[str | None, str] = {}
        for act, answer in zip(acts, self.all_at_once(acts), strict=True):
            assert answer.status_code == 201, answer.text
            view = answer.json()
            assert made.setdefault(act.key, view["id"]) == view["id"]
            self.remember(view, act.body or {})
        assert len(self.rows()) == len(self.identities)

    def signing(self, signer: Signer) -> list[Act]:
        body = a_form(
            **signer._asdict() | {"replica": None, "after": None, "twice": None, "text_version": self.text}
        )
        path, key = f"/campaigns/{self.campaign}/pledges", f"form-{next(_keys)}"
        first = Act(signer.replica, path, body, signer.after, key=key)
        return [first, first._replace(replica=1 - signer.replica)] if signer.twice else [first]

    def remember(self, view: dict[str, Any], form: dict[str, Any]) -> None:
        text = view["text_version"]
        found: set[tuple[object, ...]] = {(text, form["phone"], normal_name(form["name"]))}
        if "door" in form:
            found.add((text, form["community"], normal_door(form["door"])))
        self.identities[view["id"]], self.phones[view["id"]] = found, form["phone"]

    def phones_are_proven(self, chosen: Chosen) -> None:
        """Of those who are in each other's way one is counted; who is in nobody's way is counted too."""
        pledges, before = self.picked(chosen), self.rows()
        # Codes that days have made useless are sent anew; for the others it is too early.
        self.all_at_once([Act(0, f"/signings/{pledge}/code") for pledge in dict.fromkeys(pledges)])
        codes = self.town.run(self.town.codes(pledges))
        bodies = [{"code": codes.get(pledge, "000000")} for pledge in pledges]
        answers = self.all_at_once(self.acts("/verify", chosen, bodies))
        after = self.rows()
        taken = Counter(
            i for p, row in after.items() if row["state"] == "counted" for i in self.identities[p]
        )
        for pledge, answer in zip(pledges, answers, strict=True):
            refused = not answer.is_success and problem(answer)
            if before[pledge]["state"] == "pending":
                in_the_way = any(taken[identity] for identity in self.identities[pledge])
                assert in_the_way and after[pledge]["state"] in ("counted", "pending")
                assert refused in (False, "household-counted", "illegal-move", "version-conflict")
            else:
                assert refused == "illegal-move"

    @invariant()
    def nobody_is_counted_twice(self) -> None:
        rows = self.rows()
        counted = [i for p, row in rows.items() if row["state"] == "counted" for i in self.identities[p]]
        assert len(counted) == len(set(counted))

    def pledges_are_taken_back(self, chosen: Chosen) -> None:
        """Whoever takes it back, and however often at once: once it is done, and their place is free."""
        chosen = chosen[:3]
        pledges, before = self.picked(chosen), self.rows()
        answers = self.all_at_once(self.acts("/withdraw", chosen, [{}] * len(chosen)))
        done = Counter(p for p, answer in zip(pledges, answers, strict=True) if answer.is_success)
        for pledge in pledges:
            assert done[pledge] == (before[pledge]["state"] in ("pending", "counted"))

    def households_check_in(self, chosen: Chosen) -> None:
        """Each that is counted once a day, however often it tries."""
        pledges, rows, today = self.picked(chosen), self.rows(), local_day(now())
        had = {row["pledge_id"] for row in self.town.run(self.stored_check_ins(str(today)))}
        answers = self.all_at_once(self.acts("/check-ins", chosen, [None] * len(chosen)))
        done = Counter(p for p, answer in zip(pledges, answers, strict=True) if answer.is_success)
        for pledge in pledges:
            assert done[pledge] == (rows[pledge]["state"] == "counted" and pledge not in had)
        has = [row["pledge_id"] for row in self.town.run(self.stored_check_ins(str(today)))]
        assert Counter(has) == Counter(had | done.keys() - {p for p in done if not done[p]})

    # ── what is needed for it ────────────────────────────────────────────────────────────────────

    def picked(self, chosen: Chosen) -> list[str]:
        """Pledges, the same for the same picks. They are few, so that some are picked twice."""
        newest = list(self.identities)[-12:]
        return [newest[pick % len(newest)] for pick, _, _ in chosen]

    def acts(self, what: str, chosen: Chosen, bodies: Sequence[dict[str, str] | None]) -> list[Act]:
        return [
            Act(replica, f"/signings/{pledge}{what}", body, after)
            for pledge, (_, replica, after), body in zip(self.picked(chosen), chosen, bodies, strict=True)
        ]

    def all_at_once(self, acts: Sequence[Act]) -> list[httpx.Response]:
        answers = [answer for answer in self.town.run(self.town.together(acts)) if answer is not None]
        assert all(answer.status_code < 500 for answer in answers), answers
        return answers

    def rows(self) -> dict[str, Bson]:
        """The pledges of the campaign, as they are stored."""

        async def found() -> list[Bson]:
            pledges = self.town.store.collection(Pledge).find({"campaign_id": self.campaign})
            return list(await pledges.to_list(None))

        return {row["_id"]: row for row in self.town.run(found())}

    async def stored_check_ins(self, day: str) -> list[Bson]:
        where = {"campaign_id": self.campaign, "day": day}
        return list(await self.town.store.collection(CheckIn).find(where).to_list(None))


async def allow(town: Replicas) -> None:
    for phone in PHONES:
        await town.done("/listed-phones", {"phone": phone, "kind": "allow", "reason": "community-worker"})


def test_no_household_counts_or_checks_in_twice_and_none_is_refused_for_another(
    town_of_two: Replicas,
) -> None:
    town_of_two.run(allow(town_of_two))
    Households.town = town_of_two
    play(Households, examples=6, steps=12)
