"""The dashboard's rules without a database: vectors, cells, what changed since."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from services.notifier.activities.pledges import BOARD
from services.notifier.boards.cells import Cells
from services.notifier.boards.freshness import Freshness
from shared.consumers.tables import Reading, Stamps
from shared.model.events import PARTITIONS

AT = datetime(2026, 3, 8, tzinfo=UTC)


def vector(generation: int = 0, **positions: int) -> Stamps:
    return Stamps(generation, tuple(positions.get(f"p{number}", 0) for number in range(PARTITIONS)))


def row(partition: int, position: int, county: str = "330802", **counts: int) -> Mapping[str, Any]:
    return {
        "_id": f"{county}:2026-03-08:{partition}",
        "county": county,
        "day": "2026-03-08",
        "lane": partition,
        "stamp": position,
        **counts,
    }


def reading(at: Stamps, *rows: Mapping[str, Any], whole: bool = False) -> Reading:
    return Reading(at, rows, whole, {}, 0, AT)


def test_a_vector_is_read_back_as_it_was_written() -> None:
    assert Stamps.parse(str(vector(3, p0=7, p11=12))) == vector(3, p0=7, p11=12)


@pytest.mark.parametrize(
    "text",
    ["", "0", "1.2.3", ".".join("x" * 13), ".".join(["0"] * 14), "-1" + ".0" * 12, "²" + ".0" * 12],
)
def test_what_is_no_vector_is_refused(text: str) -> None:
    assert Stamps.parse(text) is None


def test_only_an_earlier_vector_of_the_same_generation_can_be_resumed_from() -> None:
    here = vector(1, p0=5, p1=5)
    assert here.reaches(vector(1, p0=5, p1=4))
    assert not here.reaches(vector(0, p0=1))
    assert not here.reaches(vector(1, p0=6))


def test_a_cell_is_the_sum_over_partitions_and_changes_are_absolute() -> None:
    board = Cells(BOARD.by)
    board.apply(reading(vector(p0=2, p1=3), row(0, 2, signed=2), row(1, 3, signed=3), whole=True))
    seen = board.revision
    board.apply(reading(vector(p0=4, p1=3), row(0, 4, signed=5, members=9)))

    [changed] = board.after(seen)
    assert (board[changed]["signed"], board[changed]["members"]) == (8, 9)
    assert board.since(vector(p0=2, p1=3)) == [changed]
    assert board.since(vector(p0=4, p1=3)) == []
    assert board.after(board.revision) == []


def test_a_row_that_is_read_again_unchanged_is_no_news() -> None:
    board = Cells(BOARD.by)
    assert board.apply(reading(vector(p0=2), row(0, 2, signed=2), whole=True))
    assert not board.apply(reading(vector(p0=2), row(0, 2, signed=2)))


def test_a_whole_reading_forgets_what_was_there_before() -> None:
    board = Cells(BOARD.by)
    board.apply(reading(vector(), row(0, 2, signed=2), whole=True))
    seen = board.revision
    board.apply(reading(vector(1), row(0, 2, county="330803", signed=1), whole=True))
    assert board.begun > seen
    assert [county for (county, _), _ in board.items()] == ["330803"]


def test_a_snapshot_counts_what_is_in_force_and_shows_units_without_a_division_as_tiles() -> None:
    board = Cells(BOARD.by)
    rows = [
        row(0, 1, signed=5, withdrawn=1, invalidated=1),
        row(0, 2, county="330803", signed=2),
        row(0, 3, county="330800", talks=1),
    ]
    board.apply(reading(vector(p0=3), *rows, whole=True))
    shown: Any = BOARD.view(board, Freshness(id="x", as_of=AT))

    assert (shown.totals.signed, shown.totals.counted, shown.totals.households) == (7, 5, 916_430)
    counties = {county.code: county for county in shown.by_county}
    assert len(counties) == 7  # the six, and the city, which held a talk itself
    assert counties["330802"].counted == 3
    assert counties["330802"].coverage == round(3 / counties["330802"].households, 6)
    assert sum(county.households for county in counties.values()) == 916_430
    assert [unit.name for unit in shown.org_units][:1] == ["智慧新城妇联"] and len(shown.org_units) == 4
    assert {unit.signed for unit in shown.org_units} == {0}
    assert [(day.day, day.signed, day.talks) for day in shown.by_day] == [("2026-03-08", 7, 1)]
