"""Chains under generated interleavings: two replicas, callers that give up, broken lines, crashes.

Every step sends a handful of commands at once to two replicas on one database. Whatever was answered,
lost or left hanging: the serials of each chain are 1, 2, 3, …, each is one household's for good, and
who was told a serial has it.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, ClassVar, NamedTuple

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.pledges import queries
from services.pledges.app import service
from services.pledges.domain.pledge import Pledge
from shared.contracts.pledges import PledgeSigned
from shared.host import Host
from shared.mongo.driver import Bson
from shared.store.tallies import recount
from tests.kit.waiting import eventually
from tests.services.pledges.replicas import Act, Replicas, play
from tests.services.pledges.town import COMMUNITY, ELSEWHERE, a_form
from tests.services.pledges.wire import Loss

BLOCKED = [f"159{number:08}" for number in range(60)]
"""Phones on the block list: their pledges wait for the reviewer. Each is good for five forms."""


class Form(NamedTuple):
    """A household's form to be handed in; doors are few, so that some are taken."""

    community: str
    door: int
    held: bool
    replica: int
    after: int


class Planned(NamedTuple):
    """A move to be tried on one of the pledges there are."""

    move: str
    pick: int
    replica: int
    after: int
    gives_up: int | None


MOVES = (*["verify"] * 10, *["count"] * 3, "guess", "code", "withdraw", "invalidate", "erase")
JOINING = ("verify", "count")
planned = st.builds(
    Planned,
    st.sampled_from(MOVES),
    st.integers(0, 99),
    st.integers(0, 1),
    st.integers(0, 4),
    st.sampled_from((*[None] * 8, 0, 2, 5)),
)
Trouble = tuple[Loss, ...] | str
CRASH = "crash"
"""A replica dies while it works, and another takes its place."""
troubles: st.SearchStrategy[Trouble] = st.sampled_from(
    (
        *[()] * 16,
        *[CRASH] * 2,
        *[(Loss.REQUEST,), (Loss.ANSWER,)],  # the driver tries once more
        *[(Loss.ANSWER, Loss.ANSWER), (Loss.REQUEST, Loss.ANSWER), (Loss.ANSWER, Loss.REQUEST)],
    )
)
forms = st.builds(
    Form,
    st.sampled_from((COMMUNITY, ELSEWHERE)),
    st.integers(1, 40),
    st.booleans(),
    st.integers(0, 1),
    st.integers(0, 4),
)


class Chains(RuleBasedStateMachine):
    """`told`: what callers were told, by pledge. `owners`: whose each serial is, as last seen."""

    town: ClassVar[Replicas]
    blocked: ClassVar[Iterator[str]]

    def __init__(self) -> None:
        super().__init__()
        self.phones: dict[str, str] = {}
        self.told: dict[str, dict[str, Any]] = {}
        self.owners: dict[tuple[str, int], str] = {}

    @initialize(handed_in=st.lists(forms, min_size=6, max_size=12))
    def a_campaign_opens(self, handed_in: list[Form]) -> None:
        self.campaign = self.town.run(self.town.campaign())
        self.happens([self.signing(form) for form in handed_in], (), 0)

    @rule(
        handed_in=st.lists(forms, max_size=5),
        turn=st.lists(planned, min_size=4, max_size=14),
        trouble=troubles,
        replica=st.integers(0, 1),
    )
    def much_happens_at_once(
        self, handed_in: list[Form], turn: list[Planned], trouble: Trouble, replica: int
    ) -> None:
        ids = list(self.phones)
        waiting = [pledge for pledge in ids if pledge not in self.told] or ids
        codes = self.town.run(self.town.codes(ids))
        acts = [self.signing(form) for form in handed_in]
        for plan in turn:
            acts.append(self.move(plan, pick(waiting if plan.move in JOINING else ids, plan), codes))
        self.happens(acts, trouble, replica)

    def happens(self, acts: list[Act], trouble: Trouble, replica: int) -> None:
        """Send the commands at once, and remember what their callers were told."""
        for act, answer in zip(acts, self.sent(acts, trouble, replica), strict=True):
            assert answer is None or answer.status_code < 500 or trouble, answer.text
            if answer is not None and answer.is_success:
                assert act.body is not None
                view = answer.json()
                self.phones.setdefault(view["id"], act.body.get("phone", ""))
                if view["serial"]:
                    self.told.setdefault(view["id"], view)

    def sent(self, acts: list[Act], trouble: Trouble, replica: int) -> list[httpx.Response | None]:
        if trouble == CRASH:
            return self.town.run(self.town.together(acts, crashes=replica))
        losses = self.town.all[replica].wire.losses
        losses.extend(trouble)
        answers = self.town.run(self.town.together(acts))
        losses.clear()
        return answers

    def signing(self, form: Form) -> Act:
        body = a_form(community=form.community, door=f"{form.door}幢")
        body["phone"] = next(self.blocked, body["phone"]) if form.held else body["phone"]
        return Act(form.replica, f"/campaigns/{self.campaign}/pledges", body, form.after)

    def move(self, plan: Planned, pledge: str, codes: dict[str, str]) -> Act:
        code = codes.get(pledge, "000000")
        path, body = {
            "verify": (f"/signings/{pledge}/verify", {"code": code}),
            "guess": (f"/signings/{pledge}/verify", {"code": f"{(int(code) + 1) % 1_000_000:06}"}),
            "code": (f"/signings/{pledge}/code", {}),
            "count": (f"/reviews/{pledge}/count", {}),
            "invalidate": (f"/reviews/{pledge}/invalidate", {"reason": "duplicate"}),
            "withdraw": (f"/signings/{pledge}/withdraw", {}),
            "erase": (f"/signings/{pledge}/erase", {}),
        }[plan.move]
        return Act(plan.replica, path, body, plan.after, plan.gives_up)

    @invariant()
    def every_chain_is_without_a_gap_and_keeps_its_households(self) -> None:
        rows = self.town.run(numbered(self.town, self.campaign))
        for chain, links in groupby(rows, key=lambda row: row["chain_id"]):
            serials = [row["serial"] for row in links]
            assert serials == list(range(1, len(serials) + 1)), chain
        owners = {(row["chain_id"], row["serial"]): row["_id"] for row in rows}
        assert len(set(owners.values())) == len(owners)
        assert self.owners.items() <= owners.items()  # no serial changes hands or is given back
        self.owners = owners
        self.who_was_told_a_serial_has_it({row["_id"]: row for row in rows})

    def who_was_told_a_serial_has_it(self, rows: dict[str, Bson]) -> None:
        for pledge, view in self.told.items():
            assert rows[pledge]["serial"] == view["serial"]
            assert view["certificate"].endswith(f"/{rows[pledge]['token']}")
        for row in rows.values():
            signed = [entry["data"] for entry in row["outbox"] if entry["type"] == PledgeSigned.type]
            [event] = map(PledgeSigned.model_validate_json, signed)
            assert (event.serial, event.chain_id) == (row["serial"], row["chain_id"])


def pick(pledges: list[str], plan: Planned) -> str:
    return pledges[plan.pick % len(pledges)]


async def numbered(town: Replicas, campaign: str) -> list[Bson]:
    """The pledges that have a serial, by chain and serial."""
    where = {"campaign_id": campaign, "serial": {"$gt": 0}}
    cursor = town.store.collection(Pledge).find(where).sort([("chain_id", 1), ("serial", 1)])
    return list(await cursor.to_list(None))


async def block(town: Replicas) -> None:
    for phone in BLOCKED:
        await town.done("/listed-phones", {"phone": phone, "kind": "block", "reason": "suspicious"})


async def chains_follow(town: Replicas) -> None:
    """Once relay and consumers run, the chains show what the pledges say: no event was lost or doubled."""
    host = Host([service], town.settings, alone=True)
    await host.start()

    async def agree() -> bool:
        store = host.stores["pledges"]
        recounted = await recount(store, service.documents, ("chain",))
        return recounted == await queries.chains_shown(store)

    try:
        await eventually(agree)
    finally:
        await host.stop()


def test_serials_are_gap_free_and_kept_whatever_is_interleaved(town_of_two: Replicas) -> None:
    town_of_two.run(block(town_of_two))
    Chains.town, Chains.blocked = town_of_two, (phone for phone in BLOCKED for _ in range(5))
    play(Chains, examples=6, steps=8)
    town_of_two.run(chains_follow(town_of_two))
