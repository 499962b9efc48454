"""The referral dashboard: who waits where and how long, what came of it; no small cell, no day by day.

Made from rows of county and department. A referral stands in one state, so the states are one population
cut into parts; how it is cut further depends on whether it still runs, so that nothing small is left over.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from services.notifier.domain.small_cells import LEAST, Block, blocks, split
from shared.contracts.referrals import ENDED, RUNNING, Department
from shared.divisions import counties

GROUP = "notifier.referral-dashboard"
SOURCE = "referrals"
TABLE = "referral_cells"
LONGEST = 365
"""Days of waiting that are told apart; whoever waited longer counts as this."""
IN, WAITED = "in_", "waited_"
"""Columns: how many stand in a state, and how many waited so many days for their first place."""


class Waiting(BaseModel):
    """Days from the request to the first place (half of them, nine of ten waited no longer)."""

    p50: int
    p90: int


class Population(BaseModel):
    """People, cut in one way and in another. Each cut adds up to `people`."""

    people: int
    by_county: list[Block]
    by_department: list[Block]
    by_state: list[Block]


class Offers(BaseModel):
    """Beds that were offered and did not lapse, and those that did."""

    kept: int
    lapsed: int


class ReferralBoard(BaseModel):
    """What is None is too small to be shown, or to show what is beside it."""

    as_of: datetime
    least: int = LEAST
    people: int | None
    running: Population | None
    """The queue: who is not through yet."""
    ended: Population | None
    """The outcomes."""
    waited: Waiting | None
    waited_by_department: dict[str, Waiting]
    offers: Offers | None


Row = Mapping[str, Any]


def board(rows: Iterable[Row], as_of: datetime) -> ReferralBoard:
    """The dashboard made from the rows of the table."""
    every = list(rows)
    running, ended = _people(every, RUNNING), _people(every, ENDED)
    sizes = running.total(), ended.total()
    shown = split(*sizes)
    return ReferralBoard(
        as_of=as_of,
        people=sum(sizes) if sum(sizes) >= LEAST else None,
        running=_population(running, RUNNING) if shown else None,
        ended=_population(ended, ENDED) if shown else None,
        waited=_waiting(every),
        waited_by_department=_waiting_by_department(every),
        offers=_offers(every),
    )


Key = tuple[str, str, str]
"""County, department, state."""


def _people(rows: list[Row], states: Sequence[str]) -> Counter[Key]:
    counts: Counter[Key] = Counter()
    for row in rows:
        for column, people in row.items():
            state = column.removeprefix(IN)
            if column.startswith(IN) and state in states:
                counts[row["county"], row["department"], state] += people
    return counts


def _population(counts: Counter[Key], states: Sequence[str]) -> Population:
    every: Sequence[Sequence[str]] = ([county.code for county in counties()], list(Department), states)

    def by(place: int) -> list[Block]:
        groups = Counter(dict.fromkeys(every[place], 0))
        for key, people in counts.items():
            groups[key[place]] += people
        return blocks(groups)

    return Population(people=counts.total(), by_county=by(0), by_department=by(1), by_state=by(2))


def _waiting_by_department(rows: list[Row]) -> dict[str, Waiting]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["department"], []).append(row)
    if any(0 < _placed(own).total() < LEAST for own in found.values()):
        return {}  # beside that of all, the others' would tell of a small one
    waiting = {department: _waiting(own) for department, own in sorted(found.items())}
    return {department: waited for department, waited in waiting.items() if waited}


def _placed(rows: list[Row]) -> Counter[int]:
    """People by the days that they waited for their first place."""
    days: Counter[int] = Counter()
    for row in rows:
        for column, people in row.items():
            if column.startswith(WAITED):
                days[int(column.removeprefix(WAITED))] += people
    return days


def _waiting(rows: list[Row]) -> Waiting | None:
    """None while fewer than LEAST people have been placed."""
    days = _placed(rows)
    if days.total() < LEAST:
        return None
    return Waiting(p50=percentile(days, 50), p90=percentile(days, 90))


def percentile(days: Mapping[int, int], percent: int) -> int:
    """The fewest days that at least so many percent waited at most (nearest rank)."""
    rank, below = -(-sum(days.values()) * percent // 100), 0
    for day in sorted(days):
        below += days[day]
        if below >= rank:
            return day
    raise ValueError("nobody waited")


def _offers(rows: list[Row]) -> Offers | None:
    offered = sum(row.get("offered", 0) for row in rows)
    lapsed = sum(row.get("lapsed", 0) for row in rows)
    shown = split(offered - lapsed, lapsed)
    return Offers(kept=shown[0], lapsed=shown[1]) if shown else None
