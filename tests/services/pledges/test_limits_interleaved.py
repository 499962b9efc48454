"""Forms, codes and guesses under generated interleavings: two replicas, and a clock that moves on.

Every step sends commands of one kind at once. No limit is ever passed, and nobody is refused while
there is room.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import count
from typing import ClassVar

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.pledges.codes import HERE
from services.pledges.domain.limits import Limit
from services.pledges.domain.pledge import CODE_MINUTES, RESEND, WRONG_CODES, Pledge
from shared.model.clock import moved, now
from shared.mongo.driver import Bson
from shared.store import rates
from tests.kit.problems import problem
from tests.services.pledges.replicas import Act, Replicas, play
from tests.services.pledges.town import a_form, a_name, until_next

WAITS = (timedelta(minutes=11), timedelta(hours=13))
PHONES = 3
_phones, _names = count(17_000_000_000), count()

sent = st.tuples(st.integers(0, 1), st.integers(0, 4))
"""A replica, and the milliseconds after which a command is sent to it."""
picks = st.integers(0, 99)


class Forms(RuleBasedStateMachine):
    """`phones`: those of this campaign; `phone_of`: which one handed a form in."""

    town: ClassVar[Replicas]

    def __init__(self) -> None:
        super().__init__()
        self.clock = ExitStack()
        self.clock.enter_context(moved(until_next(timedelta(days=1))))
        self.phones = [str(next(_phones)) for _ in range(PHONES)]
        self.phone_of: dict[str, str] = {}

    @initialize()
    def a_campaign_opens(self) -> None:
        self.campaign = self.town.run(self.town.campaign())

    def teardown(self) -> None:
        self.clock.close()

    @rule(by=st.sampled_from(WAITS))
    def time_passes(self, by: timedelta) -> None:
        self.clock.enter_context(moved(by))

    # ── forms ────────────────────────────────────────────────────────────────────────────────────

    @rule(
        handed_in=st.lists(st.tuples(st.integers(0, PHONES - 1), st.integers(0, 4)), min_size=3, max_size=9)
    )
    def forms_are_handed_in(self, handed_in: list[tuple[int, int]]) -> None:
        times, at = self.code_times(), now()
        path = f"/campaigns/{self.campaign}/pledges"
        forms = [
            (number % 2, a_form(phone=self.phones[phone], name=a_name(next(_names))), after)
            for number, (phone, after) in enumerate(handed_in)
        ]
        answers = self.all_at_once([Act(replica, path, form, after) for replica, form, after in forms])
        taken = Counter[str]()
        for (_, form, _), answer in zip(forms, answers, strict=True):
            if answer.status_code == 201:
                self.phone_of[answer.json()["id"]] = form["phone"]
                taken[form["phone"]] += 1
            else:
                assert problem(answer) == "too-many-requests"
        for phone, asked in Counter(form["phone"] for _, form, _ in forms).items():
            assert taken[phone] == min(asked, room_in_windows(times[phone], at))

    @invariant()
    def no_phone_gets_more_codes_than_its_limits(self) -> None:
        for times in self.code_times().values():
            for limit in HERE:
                assert all(many <= limit.most for many in Counter(windows(times, limit)).values())

    def code_times(self) -> dict[str, list[datetime]]:
        times = defaultdict(list)
        for pledge, row in self.rows().items():
            times[self.phone_of[pledge]] += row["code_times"]
        return times

    # ── codes ────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.phone_of)
    @rule(
        minutes=st.sampled_from((0, 1, 1, 2)),
        asking=st.lists(st.tuples(picks, sent), min_size=4, max_size=12),
    )
    def codes_are_asked_for(self, minutes: int, asking: list[tuple[int, tuple[int, int]]]) -> None:
        self.time_passes(timedelta(seconds=61 * minutes))
        rows, times, at = self.rows(), self.code_times(), now()
        pledges = [self.one(pick % 5) for pick, _ in asking]  # several callers ask for the same
        acts = [
            Act(replica, f"/signings/{pledge}/code", None, after)
            for pledge, (_, (replica, after)) in zip(pledges, asking, strict=True)
        ]
        sent = Counter[str]()
        for pledge, answer in zip(pledges, self.all_at_once(acts), strict=True):
            sent[pledge] += answer.is_success
        asked_for = Counter(self.phone_of[pledge] for pledge in pledges)
        for pledge, asked in Counter(pledges).items():
            row, phone = rows[pledge], self.phone_of[pledge]
            may = room(RESEND, row["code_times"], at) if row["state"] == "pending" else 0
            assert sent[pledge] <= min(asked, may)
            if asked_for[phone] <= room_in_windows(times[phone], at):
                assert sent[pledge] == min(asked, may)

    @invariant()
    def no_form_is_sent_more_codes_than_its_limits(self) -> None:
        assert all(within(RESEND, row["code_times"]) for row in self.rows().values())

    @precondition(lambda self: self.phone_of)
    @rule(pick=picks, sent=st.lists(sent, min_size=1, max_size=9))
    def a_code_is_guessed(self, pick: int, sent: list[tuple[int, int]]) -> None:
        """However many guess at once, five in all are told that they are wrong."""
        pledge, at = self.one(pick), now()
        row, path = self.rows()[pledge], f"/signings/{pledge}/verify"
        right = int(self.town.run(self.town.codes([pledge]))[pledge])
        wrong = [{"code": f"{(right + n) % 10**6:06}"} for n in range(1, len(sent) + 1)]
        answers = self.all_at_once(
            [Act(to, path, body, after) for body, (to, after) in zip(wrong, sent, strict=True)]
        )
        left = WRONG_CODES - row["wrong_codes"] if good(row, at) else 0
        tries = min(len(sent), left)
        assert [problem(answer) for answer in answers].count("wrong-code") == tries
        assert self.rows()[pledge]["wrong_codes"] == row["wrong_codes"] + tries

    @precondition(lambda self: self.phone_of)
    @rule(pick=picks, replica=st.integers(0, 1))
    def the_right_code_comes_after_the_guesses(self, pick: int, replica: int) -> None:
        """It helps only while it is fresh and few were wrong."""
        pledge, at = self.one(pick), now()
        row, code = self.rows()[pledge], self.town.run(self.town.codes([pledge]))[pledge]
        [answer] = self.all_at_once([Act(replica, f"/signings/{pledge}/verify", {"code": code})])
        assert answer.is_success == (good(row, at) and row["wrong_codes"] < WRONG_CODES), answer.text

    # ── what is needed for it ────────────────────────────────────────────────────────────────────

    def all_at_once(self, acts: Sequence[Act]) -> list[httpx.Response]:
        answers = [answer for answer in self.town.run(self.town.together(acts)) if answer is not None]
        assert all(answer.status_code < 500 for answer in answers), answers
        return answers

    def one(self, pick: int) -> str:
        """A pledge: the same for the same pick, whatever the interleaving did."""
        return list(self.phone_of)[pick % len(self.phone_of)]

    def rows(self) -> dict[str, Bson]:
        """The pledges of the campaign, as they are stored."""

        async def found() -> list[Bson]:
            pledges = self.town.store.collection(Pledge).find({"campaign_id": self.campaign})
            return list(await pledges.to_list(None))

        return {row["_id"]: row for row in self.town.run(found())}


def within(limits: Sequence[Limit], times: list[datetime]) -> bool:
    """Whether no limit was passed at any time."""
    times = sorted(times)
    return all(
        sum(last - limit.within < time <= last for time in times) <= limit.most
        for limit in limits
        for last in times
    )


def room(limits: Sequence[Limit], times: list[datetime], at: datetime) -> int:
    """How often it may happen at an instant, by all limits."""
    return min(limit.most - sum(time > at - limit.within for time in times) for limit in limits)


def windows(times: Sequence[datetime], limit: rates.Limit) -> list[int]:
    """In which window of a limit each instant lies: those of a day are days of Shanghai."""
    return [int((time.timestamp() + rates.SHANGHAI) // limit.seconds) for time in times]


def room_in_windows(times: Sequence[datetime], at: datetime) -> int:
    """How many more codes a phone may get of one caller, in the windows of an instant."""
    return min(limit.most - windows(times, limit).count(*windows([at], limit)) for limit in HERE)


def good(row: Bson, at: datetime) -> bool:
    """Whether a pledge waits for a code that has not expired."""
    expires = row["code_times"][-1] + timedelta(minutes=CODE_MINUTES)
    return bool(row["state"] == "pending" and at < expires)


def test_no_limit_is_passed_and_nobody_is_refused_while_there_is_room(town_of_two: Replicas) -> None:
    Forms.town = town_of_two
    play(Forms, examples=7, steps=14)
