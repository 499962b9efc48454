"""What the referral dashboard shows, taken as equations: no small group follows from them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.activities.referrals import BOARD
from services.notifier.boards.small_cells import LEAST
from shared.city.departments import Department
from shared.city.divisions import counties
from shared.contracts.referrals import ENDED
from tests.services.notifier.desk import viewed

COUNTIES, DEPARTMENTS = [county.code for county in counties()[:3]], list(Department)
STATES = ("accepted", "bed_offered", "completed", "cancelled")
CELLS = list(product(COUNTIES, DEPARTMENTS, STATES))
Cells = dict[tuple[str, str, str], int]
Vector = list[Fraction]
AT = datetime(2020, 3, 8, tzinfo=UTC)

tables = st.fixed_dictionaries({cell: st.sampled_from((0, 0, 0, 1, 2, 3, 5, 9)) for cell in CELLS})


def shown(cells: Cells) -> Any:
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for (county, department, state), people in cells.items():
        row = rows.setdefault((county, department), {"county": county, "department": department})
        row[f"in_{state}"] = people
    return viewed(BOARD, rows.values(), AT)


def indicator(chosen: set[tuple[str, str, str]]) -> Vector:
    return [Fraction(cell in chosen) for cell in CELLS]


def group(ended: bool, place: int, names: set[str]) -> set[tuple[str, str, str]]:
    return {cell for cell in CELLS if (cell[2] in ENDED) == ended and cell[place] in names}


def equations(found: Any) -> Iterator[Vector]:
    """Each number that is shown is a sum of cells; a group that is in no block is known to be empty."""
    if found.people is not None:
        yield indicator(set(CELLS))
    for ended, population in ((False, found.running), (True, found.ended)):
        if population is None:
            continue
        yield indicator(group(ended, 0, set(COUNTIES)))
        for place, cut in enumerate(cuts(population)):
            named = {name for block in cut for name in block}
            for names in (*cut, *({name} for name in {cell[place] for cell in CELLS} - named)):
                chosen = group(ended, place, set(names))
                if set(names) & named or not population.people:
                    yield indicator(chosen)
                else:
                    yield from (indicator({cell}) for cell in chosen)


def cuts(population: Any) -> list[list[list[str]]]:
    every = (population.by_county, population.by_department, population.by_state)
    return [[block.groups for block in blocks] for blocks in every]


def reduced(vector: Vector, basis: list[tuple[int, Vector]]) -> Vector:
    for pivot, row in basis:
        if vector[pivot]:
            factor = vector[pivot] / row[pivot]
            vector = [a - factor * b for a, b in zip(vector, row, strict=True)]
    return vector


def spanned(rows: Iterator[Vector]) -> list[tuple[int, Vector]]:
    """A basis of all that follows from the rows, each with its pivot."""
    basis: list[tuple[int, Vector]] = []
    for row in rows:
        rest = reduced(row, basis)
        pivot = next((at for at, value in enumerate(rest) if value), None)
        if pivot is not None:
            basis.append((pivot, rest))
    return basis


@given(cells=tables)
@settings(max_examples=150, derandomize=True, database=None, deadline=None)
def test_no_small_group_follows_from_what_is_shown(cells: Cells) -> None:
    basis = spanned(equations(shown(cells)))
    for ended in (False, True):
        for place in range(3):
            for name in {cell[place] for cell in CELLS}:
                chosen = group(ended, place, {name})
                people = sum(cells[cell] for cell in chosen)
                if 0 < people < LEAST:
                    assert any(reduced(indicator(chosen), basis)), (ended, name, people)
    for cell, people in cells.items():
        if 0 < people < LEAST:
            assert any(reduced(indicator({cell}), basis)), (cell, people)
