"""What the pledge dashboard tells: a snapshot, a delta, a heartbeat.

No cell is suppressed for being small: that rule is for health and family data, and these are counts of
public pledges.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import BaseModel

from services.notifier.domain.board import Cell, Counts, summed
from shared.divisions import CITY, counties, households, org_units


class Freshness(BaseModel):
    """How far and how fresh the numbers are."""

    id: str
    """Names this state: send it as `Last-Event-ID` (or `since`) to get what changed after it."""
    as_of: datetime
    """When the database was read."""
    stale_since: datetime | None = None
    """Set while events older than a few seconds are not in the numbers, or the database is away."""
    waiting: int = 0
    """Events that could not be handled and wait for somebody: they are not in the numbers."""


class Covered(Counts):
    """Counts with their denominator."""

    counted: int
    """Signed and neither withdrawn nor invalidated."""
    households: int
    """An estimate below the city: its 2020 census count, split by registered population."""
    coverage: float
    """counted / households, 0..1: too high where households pledged several texts; chains tell it exactly."""


class CountyRow(Covered):
    """A county; and the city's own level (市本级), which has no households, once events name no county."""

    code: str
    name: str


class Tile(Counts):
    """An org unit that no division stands for: shown beside the counties."""

    id: str
    name: str


class DayRow(Counts):
    """A day (Asia/Shanghai) of the whole city."""

    day: str


class Snapshot(Freshness):
    """The whole dashboard."""

    totals: Covered
    by_county: list[CountyRow]
    org_units: list[Tile]
    by_day: list[DayRow]
    cells: list[Cell]


class Delta(Freshness):
    """The cells that changed, with their values of now: put them over the old ones."""

    cells: list[Cell]


class Reset(Freshness):
    """The id that was asked for cannot be resumed from: a snapshot follows."""

    reason: str


def snapshot(cells: Sequence[Cell], fresh: Freshness) -> Snapshot:
    """The dashboard made from its cells."""
    days = _grouped(cells, lambda cell: cell.day)
    return Snapshot(
        **fresh.model_dump(),
        totals=Covered.model_validate(_covered(cells, CITY)),
        by_county=_by_county(cells),
        # Events carry a division and no org unit yet: these tiles wait for their first count.
        org_units=[Tile(id=unit.id, name=unit.name) for unit in org_units() if unit.division is None],
        by_day=[DayRow.model_validate({"day": day, **summed(days[day])}) for day in sorted(days)],
        cells=list(cells),
    )


def _by_county(cells: Sequence[Cell]) -> list[CountyRow]:
    found = _grouped(cells, lambda cell: cell.county)
    rows = [
        CountyRow.model_validate(
            {"code": county.code, "name": county.name, **_covered(found.get(county.code, []), county.code)}
        )
        for county in counties()
    ]
    if CITY in found:
        own = {**_covered(found[CITY], CITY), "households": 0, "coverage": 0.0}
        rows.append(CountyRow.model_validate({"code": CITY, "name": "市本级", **own}))
    return rows


def _covered(cells: Sequence[Cell], code: str) -> dict[str, float]:
    counts = summed(cells)
    counted = counts["signed"] - counts["withdrawn"] - counts["invalidated"]
    total = households(code)
    return {
        **counts,
        "counted": counted,
        "households": total,
        "coverage": min(1.0, round(counted / total, 6)),
    }


def _grouped(cells: Sequence[Cell], key: Callable[[Cell], str]) -> dict[str, list[Cell]]:
    groups: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[key(cell)].append(cell)
    return groups
