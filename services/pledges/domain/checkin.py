"""A check-in: a household reports one day of serving chopsticks. A fact, never changed."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import ClassVar

from shared.contracts.pledges import HouseholdCheckedIn, StreakCompleted
from shared.model.documents import Day, Document, Index, Publishes
from shared.model.known import PartOf
from shared.model.problems import Problem
from shared.model.tallies import COUNTY, DAY, Tally

from .pledge import Pledge
from .states import COUNTED

STREAK_DAYS = 21
ON_ITS_DAY = {COUNTY: "division", DAY: "day"}


class DoneToday(Problem):
    """The household checked in today; `next_at` is when it may again."""

    status, type, title, title_en = 409, "done-today", "今天已打卡", "Checked in today already"


class NotCounted(Problem):
    """Only a counted pledge checks in."""

    status, type, title, title_en = 409, "not-counted", "承诺尚未计入接龙", "The pledge is not counted"


def check_in_id(pledge_id: str, day: date) -> str:
    """One per pledge and day, by its id."""
    return f"{pledge_id}:{day.isoformat()}"


class CheckIn(Document):
    """`streak` counts days in a row, this one included; every 21st completes a streak."""

    collection: ClassVar[str] = "check_ins"
    part_of = PartOf(Pledge, "pledge_id")
    publishes: ClassVar[Publishes] = {HouseholdCheckedIn: ("signer",), StreakCompleted: ("signer", "days")}
    former_indexes: ClassVar[Sequence[str]] = ("pledge",)
    indexes: ClassVar[Sequence[Index]] = (Index("days", [("pledge_id", 1), ("day", -1), ("_id", -1)]),)
    tallies: ClassVar[Sequence[Tally]] = (
        Tally({"checked_in": 1}, by=ON_ITS_DAY),
        Tally({"streaks_completed": 1}, by=ON_ITS_DAY, where={"streak": {"$mod": [STREAK_DAYS, 0]}}),
    )

    pledge_id: str
    campaign_id: str
    division: str
    day: Day
    streak: int
    at: datetime

    @classmethod
    def done(cls, pledge: Pledge, day: date, yesterday: "CheckIn | None", now: datetime) -> "CheckIn":
        """Today's check-in. Raises NotCounted."""
        if pledge.state is not COUNTED:
            raise NotCounted(state=pledge.state, legal=pledge.legal)
        assert yesterday is None or yesterday.day == day - timedelta(days=1)
        check_in = cls(
            id=check_in_id(pledge.id, day),
            pledge_id=pledge.id,
            campaign_id=pledge.campaign_id,
            division=pledge.division,
            day=day,
            streak=yesterday.streak + 1 if yesterday else 1,
            at=now,
        )
        check_in._record(pledge)
        return check_in

    @property
    def completes(self) -> bool:
        """Whether this day completes 21 in a row."""
        return self.streak % STREAK_DAYS == 0

    @property
    def to_go(self) -> int:
        """Days until the next 21 are complete; 0: with this day."""
        return -self.streak % STREAK_DAYS

    def _record(self, pledge: Pledge) -> None:
        self.record(HouseholdCheckedIn.of(self, signer=pledge.signer))
        if self.completes:
            self.record(StreakCompleted.of(self, signer=pledge.signer, days=STREAK_DAYS))
