"""Teams (宣讲督导队): preachers and supervisors, online talks, and observations."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from shared.city.days import local_day
from shared.city.divisions import lies_in
from shared.contracts.pledges import MemberClaimed, MemberErased, ObservationRecorded, TalkHeld, TalkMoved
from shared.model.claims import AlreadyClaimed
from shared.model.documents import Day, Document, Index, Publishes
from shared.model.known import ByAccount
from shared.model.personal import Keyed, Personal, PersonId
from shared.model.problems import Erased, Problem, TooEarly
from shared.model.roles import Role
from shared.model.stateful import Stateful
from shared.model.tallies import COUNTY, DAY, Tally
from shared.model.workflow import Actor, Move, Queue, Workflow

from .reasons import Why


class WrongRole(Problem):
    """The person is not in the team, or not in the role that does this."""

    status, type, title, title_en = 409, "wrong-role", "不是本队的相应成员", "Not a member in that role"


class OutsideDivision(Problem):
    """The place does not lie in the team's division."""

    status, type = 403, "outside-division"
    title, title_en = "不在本队负责的区域", "Outside the team's division"


class TeamRole(StrEnum):
    """宣讲员, 督导员."""

    PREACHER = "preacher"
    SUPERVISOR = "supervisor"


class Team(Document):
    """A team works for one campaign in one division."""

    collection: ClassVar[str] = "teams"
    public = True
    former_indexes: ClassVar[Sequence[str]] = ("campaign",)
    indexes: ClassVar[Sequence[Index]] = (
        Index("of_campaign", [("campaign_id", 1), ("division", 1), ("_id", 1)]),
    )

    campaign_id: str
    division: str
    name: str


class Member(Document):
    """A person in a team, in one role."""

    collection: ClassVar[str] = "members"
    person_field: ClassVar[str | None] = "person"
    known_by = (ByAccount("account_key"),)
    publishes: ClassVar[Publishes] = {MemberClaimed: ("division",), MemberErased: ("division",)}
    indexes: ClassVar[Sequence[Index]] = (
        Index("phones", [("team_id", 1), ("phone_key", 1)], unique=True, tells=True),
        Index("of_team", [("team_id", 1), ("_id", 1)]),
        Index("accounts", [("account_key", 1)], where={"account_key": {"$gt": ""}}),
    )

    team_id: str
    division: str = ""
    """The team's; empty in members from before it was kept, of whom only the city is told."""
    person: PersonId
    role: TeamRole
    phone_key: Keyed[str]
    """Tells two entries of one phone apart. An officer typed it: nobody is known by it."""
    account_key: str = ""
    """The keyed hash of the account that brought the code; empty before, and once erased."""
    name: Personal[str] = None
    phone: Personal[str] = None

    def check_unclaimed(self) -> None:
        """Raises AlreadyClaimed; Erased, where nobody is left to claim it."""
        if self.phone_key == f"erased|{self.id}":
            raise Erased()
        if self.account_key:
            raise AlreadyClaimed()

    def claim(self, account_key: str, division: str) -> None:
        """The code was brought: it is the account's. Raises AlreadyClaimed, Erased."""
        self.check_unclaimed()
        self.account_key, self.division = account_key, division
        self.record(MemberClaimed.of(self, division=division))

    def forget(self, now: datetime) -> None:
        """The member was erased: nothing is left to match by. Again is no change."""
        if self.phone_key != f"erased|{self.id}":
            self.phone_key, self.account_key = f"erased|{self.id}", ""
            self.record(MemberErased.of(self, division=self.division or None))

    def check(self, team_id: str, role: TeamRole) -> None:
        """Raises WrongRole."""
        if (self.team_id, self.role) != (team_id, role):
            raise WrongRole(role=role)


class TalkState(StrEnum):
    """Where a talk stands."""

    SCHEDULED = "scheduled"
    HELD = "held"
    CANCELLED = "cancelled"


SCHEDULED = TalkState.SCHEDULED
TALK = Workflow(
    moves={
        "hold": Move((SCHEDULED,), TalkState.HELD),
        "cancel": Move((SCHEDULED,), TalkState.CANCELLED),
    },
    queues={SCHEDULED: Queue("preacher", Role.COMMUNITY_WORKER, Role.COUNTY_OFFICER, Role.CITY_OFFICER)},
)


class Talk(Stateful):
    """An online talk; `attendees` is a number, nobody is listed."""

    collection: ClassVar[str] = "talks"
    flow: ClassVar[Workflow] = TALK
    public = True
    publishes: ClassVar[Publishes] = {TalkMoved: (), TalkHeld: ("day",)}
    former_indexes: ClassVar[Sequence[str]] = ("team",)
    indexes: ClassVar[Sequence[Index]] = (Index("times", [("team_id", 1), ("starts_at", 1), ("_id", 1)]),)
    tallies: ClassVar[Sequence[Tally]] = (
        Tally({"talks": 1}, by={COUNTY: "division", DAY: "held_day"}, where={"state": TalkState.HELD}),
    )

    team_id: str
    campaign_id: str
    division: str
    preacher_id: str
    title: str
    starts_at: datetime
    link: str | None = None
    attendees: int | None = None
    held_day: Day | None = None
    state: TalkState = SCHEDULED

    @classmethod
    def scheduled(
        cls, team: Team, preacher: Member, title: str, starts_at: datetime, link: str | None
    ) -> "Talk":
        """A talk to come. Raises WrongRole."""
        preacher.check(team.id, TeamRole.PREACHER)
        talk = cls(
            team_id=team.id,
            campaign_id=team.campaign_id,
            division=team.division,
            preacher_id=preacher.id,
            title=title,
            starts_at=starts_at,
            link=link,
        )
        talk.record(TalkMoved.of(talk))
        return talk

    def hold(self, attendees: int, now: datetime, by: Actor) -> None:
        """It took place. Raises IllegalMove, TooEarly."""
        self.check("hold")
        if now < self.starts_at:
            raise TooEarly(starts_at=self.starts_at)
        self.move("hold", now, by=by)
        self.attendees, self.held_day = attendees, local_day(now)
        self.record(TalkHeld.of(self, day=self.held_day))

    def cancel(self, reason: Why, now: datetime, by: Actor) -> None:
        """It will not take place. Raises IllegalMove."""
        self.move("cancel", now, by=by, why=reason)
        self.record(TalkMoved.of(self))


class Observation(Document):
    """What a supervisor saw: tables, and how many of them had serving chopsticks. Never changed."""

    collection: ClassVar[str] = "observations"
    publishes: ClassVar[Publishes] = {ObservationRecorded: ()}
    former_indexes: ClassVar[Sequence[str]] = ("team",)
    indexes: ClassVar[Sequence[Index]] = (Index("seen", [("team_id", 1), ("at", 1), ("_id", 1)]),)
    tallies: ClassVar[Sequence[Tally]] = (Tally({"observations": 1}, by={COUNTY: "division", DAY: "day"}),)

    team_id: str
    campaign_id: str
    division: str
    supervisor_id: str
    tables: int
    with_serving_chopsticks: int
    day: Day
    at: datetime

    @classmethod
    def made(
        cls, team: Team, supervisor: Member, division: str, tables: int, using: int, now: datetime
    ) -> "Observation":
        """A fact, not a penalty: about a place, never about a household.

        Raises WrongRole, OutsideDivision.
        """
        if not lies_in(division, team.division):
            raise OutsideDivision(division=team.division)
        supervisor.check(team.id, TeamRole.SUPERVISOR)
        observation = cls(
            team_id=team.id,
            campaign_id=team.campaign_id,
            division=division,
            supervisor_id=supervisor.id,
            tables=tables,
            with_serving_chopsticks=using,
            day=local_day(now),
            at=now,
        )
        observation.record(ObservationRecorded.of(observation))
        return observation
