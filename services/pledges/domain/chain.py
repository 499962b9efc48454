"""A chain (接龙): how far a community has come in a campaign, and the milestones on the way."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from shared.city.divisions import households
from shared.contracts.pledges import (
    ChainMilestoneReached,
    MilestoneKind,
    PledgeInvalidated,
    PledgeSigned,
    PledgeWithdrawn,
)
from shared.model.documents import Day, Document, Index, Most, Publishes
from shared.model.tallies import COUNTY, DAY, Tally

from .campaign import MOST_TEXTS

HOUSEHOLD_STEPS = (1, 10, 50, 100)
COVERAGE_STEPS = tuple(range(10, 101, 10))
"""Percent of the community's households."""


def coverage_of(counted: int, households: int) -> float:
    """Percent with one decimal, rounded down so that 100 means all; never above 100."""
    return min(1000, counted * 1000 // households) / 10 if households else 0.0


class Chain(Document):
    """Follows from the pledges' events; `id` is campaign:community.

    `by_text` counts per text version (a household may pledge each of them): the coverage is that of the
    version pledged most, so that nobody counts twice.
    """

    collection: ClassVar[str] = "chains"
    publishes: ClassVar[Publishes] = {ChainMilestoneReached: ("kind", "value", "day")}
    indexes: ClassVar[Sequence[Index]] = (Index("campaign", [("campaign_id", 1), ("division", 1)]),)
    tallies: ClassVar[Sequence[Tally]] = (
        Tally({"milestones": 1}, by={COUNTY: "division", DAY: "milestone_days"}),
    )

    campaign_id: str
    division: str
    households: int
    """An estimate; see `shared.city.divisions`."""
    signed: int = 0
    """Serials given out."""
    counted: int = 0
    """Pledges in force."""
    by_text: Annotated[dict[str, int], Most(MOST_TEXTS)] = Field(default_factory=dict)
    households_steps: Annotated[list[int], Most(len(HOUSEHOLD_STEPS))] = Field(default_factory=list)
    coverage_steps: Annotated[list[int], Most(len(COVERAGE_STEPS))] = Field(default_factory=list)
    milestone_days: Annotated[list[Day], Most(len(HOUSEHOLD_STEPS) + len(COVERAGE_STEPS))] = Field(
        default_factory=list
    )
    """The day of each, in the order they were reached."""

    @classmethod
    def begun(cls, event: PledgeSigned) -> "Chain":
        """The empty chain of the community that an event happened in."""
        assert event.division
        return cls(
            id=event.chain_id,
            campaign_id=event.campaign_id,
            division=event.division,
            households=households(event.division),
        )

    @property
    def covered(self) -> int:
        """Households that stand by the text version pledged most."""
        return max(self.by_text.values(), default=0)

    @property
    def coverage(self) -> float:
        """Percent of the households."""
        return coverage_of(self.covered, self.households)

    def lengthen(self, event: PledgeSigned) -> None:
        """One household more; records each milestone the first time it is reached."""
        self.signed += 1
        self._change(event.text_version, 1)
        for step in HOUSEHOLD_STEPS:
            if step <= self.covered and step not in self.households_steps:
                self.households_steps = [*self.households_steps, step]
                self._reached(MilestoneKind.HOUSEHOLDS, step, event)
        for step in COVERAGE_STEPS:
            if step <= self.coverage and step not in self.coverage_steps:
                self.coverage_steps = [*self.coverage_steps, step]
                self._reached(MilestoneKind.COVERAGE, step, event)

    def shorten(self, event: PledgeWithdrawn | PledgeInvalidated) -> None:
        """One household fewer; its serial stays used, milestones stay reached."""
        self._change(event.text_version, -1)

    def _change(self, text_version: int, by: int) -> None:
        self.counted += by
        key = str(text_version)
        self.by_text = self.by_text | {key: self.by_text.get(key, 0) + by}

    def _reached(self, kind: MilestoneKind, value: int, event: PledgeSigned) -> None:
        self.milestone_days = [*self.milestone_days, event.day]
        self.record(ChainMilestoneReached.of(self, kind=kind, value=value, day=event.day))
