"""Boards that anybody may read: by county and day, each cell as it is.

No cell is suppressed for being small: that rule is for health and family data; see `hidden.py`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel, create_model

from services.notifier.boards.cells import Cells, Key
from services.notifier.boards.declare import COUNTY, DAY, Board
from services.notifier.boards.freshness import Freshness
from shared.city.divisions import CITY, counties, households, org_units

Row = dict[str, Any]


class Column(NamedTuple):
    """A number of the board as people read it."""

    name: str
    title: str
    title_en: str
    derived: Mapping[str, int] | None = None
    """Made of counted columns: each times its factor."""


class Denominator(BaseModel):
    """Counts against the households of a place."""

    households: int
    """An estimate below the city: its 2020 census count, split by registered population."""
    coverage: float
    """The board's `covers` / households, 0..1: too high where a household counts several times."""


class Place(BaseModel):
    """A county; and the city's own level (市本级), which has no households, once events name no county."""

    code: str
    name: str


class Tile(BaseModel):
    """An org unit that no division stands for: shown beside the counties."""

    id: str
    name: str


class OfDay(BaseModel):
    """A day (Asia/Shanghai)."""

    day: str


class OfCell(OfDay):
    """What happened in a county on a day (Asia/Shanghai)."""

    county: str


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenBoard(Board):
    """A board by county and day. `columns`: what is shown, in this order; counted ones and derived ones."""

    by: tuple[str, ...] = field(default=(COUNTY, DAY), init=False)
    columns: Sequence[Column] = ()
    covers: str | None = None
    """The column that is held against the households there are."""
    tiles: Sequence[str] = ()
    of_county: Sequence[str] = ()
    of_day: Sequence[str] = ()
    """The columns that the page shows in total, by county and by day, the first as a bar; none: all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        counted = {name for fold in self.counts.values() if not callable(fold) for name in fold}
        needed = {part for column in self.columns for part in column.derived or (column.name,)}
        shown = {*self.tiles, *self.of_county, *self.of_day} - {column.name for column in self.columns}
        if shown:
            raise TypeError(f"{self.source}: shown and no column: {shown}")
        if counted ^ needed:
            raise TypeError(
                f"{self.source}: counted and not shown, or shown and not counted: {counted ^ needed}"
            )

    @cached_property
    def counted(self) -> tuple[str, ...]:
        """The columns that are counted."""
        return tuple(column.name for column in self.columns if not column.derived)

    # ── the shape of what is shown, for the API's documentation too ──────────────────────────────

    @cached_property
    def _counts(self) -> type[BaseModel]:
        return self._model("Counts", self.counted)

    @cached_property
    def _full(self) -> type[BaseModel]:
        return self._model("Full", [c.name for c in self.columns], Denominator if self.covers else None)

    @cached_property
    def cell(self) -> type[BaseModel]:
        """A cell: what a delta is made of."""
        return create_model(f"{self._prefix}Cell", __base__=(OfCell, self._counts))

    @cached_property
    def snapshot(self) -> type[BaseModel]:
        """The whole board."""
        lists: dict[str, Any] = {
            "totals": (self._full, ...),
            "by_county": (list[create_model(f"{self._prefix}County", __base__=(Place, self._full))], ...),  # type: ignore[misc]
            "org_units": (list[create_model(f"{self._prefix}Unit", __base__=(Tile, self._counts))], ...),  # type: ignore[misc]
            "by_day": (list[create_model(f"{self._prefix}Day", __base__=(OfDay, self._counts))], ...),  # type: ignore[misc]
            "cells": (list[self.cell], ...),  # type: ignore[name-defined]
        }
        return create_model(f"{self._prefix}Board", __base__=Freshness, **lists)

    @cached_property
    def _delta(self) -> type[BaseModel]:
        cells: dict[str, Any] = {"cells": (list[self.cell], ...)}  # type: ignore[name-defined]
        return create_model(f"{self._prefix}Delta", __base__=Freshness, **cells)

    @property
    def _prefix(self) -> str:
        return self.source.capitalize()

    def _model(
        self, name: str, columns: Iterable[str], base: type[BaseModel] | None = None
    ) -> type[BaseModel]:
        fields: dict[str, Any] = dict.fromkeys(columns, (int, 0))
        return create_model(f"{self._prefix}{name}", __base__=base or BaseModel, **fields)

    def about(self) -> dict[str, Any]:
        """What the page is told to draw."""
        every = [column.name for column in self.columns]
        shown = {name: getattr(self, name) or every for name in ("tiles", "of_county", "of_day")}
        return (
            {name: getattr(self, name) for name in ("title", "title_en", "covers")}
            | shown
            | {
                "columns": [column._asdict() for column in self.columns],
                "households": households(CITY),
                "parts": [],
            }
        )

    # ── what is shown ────────────────────────────────────────────────────────────────────────────

    def view(self, cells: Cells, fresh: Freshness) -> BaseModel:
        """Totals, by county, by day, the units without a division, and the cells."""
        every = dict(cells.items())
        by_day = _grouped(every, lambda key: key[1])
        units = [unit for unit in org_units() if unit.division is None]
        return self.snapshot(
            **fresh.model_dump(),
            totals=self._shown(_summed(every.values()), CITY),
            by_county=self._by_county(_grouped(every, lambda key: key[0])),
            # Events carry a division and no org unit yet: these tiles wait for their first count.
            org_units=[{"id": unit.id, "name": unit.name} for unit in units],
            by_day=[{"day": day, **_summed(by_day[day])} for day in sorted(by_day)],
            cells=[self._cell(key, columns) for key, columns in every.items()],
        )

    def delta(self, cells: Cells, changed: Sequence[Key], fresh: Freshness) -> BaseModel:
        """The cells that changed, with their values of now: put them over the old ones."""
        return self._delta(**fresh.model_dump(), cells=[self._cell(key, cells[key]) for key in changed])

    def audited(self, cells: Cells) -> dict[str, dict[str, int]]:
        """Every counted column of every cell, also where it is 0."""
        return {
            ":".join(key): {name: columns[name] for name in self.counted} for key, columns in cells.items()
        }

    def _cell(self, key: Key, columns: Counter[str]) -> Row:
        return {"county": key[0], "day": key[1], **columns}

    def _by_county(self, found: Mapping[str, list[Counter[str]]]) -> list[Row]:
        rows = [
            {
                "code": county.code,
                "name": county.name,
                **self._shown(_summed(found.get(county.code, ())), county.code),
            }
            for county in counties()
        ]
        if CITY in found:
            own = self._shown(_summed(found[CITY]), CITY) | {"households": 0, "coverage": 0.0}
            rows.append({"code": CITY, "name": "市本级", **own})
        return rows

    def _shown(self, counts: Counter[str], code: str) -> Row:
        shown: Row = {column.name: _value(column, counts) for column in self.columns}
        if self.covers:
            total = households(code)
            share = min(1.0, round(shown[self.covers] / total, 6))
            shown |= {"households": total, "coverage": share}
        return shown


def _value(column: Column, counts: Mapping[str, int]) -> int:
    if column.derived is None:
        return counts[column.name]
    return sum(counts[name] * factor for name, factor in column.derived.items())


def _summed(every: Iterable[Counter[str]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for counts in every:
        found.update(counts)
    return found


def _grouped(cells: Mapping[Key, Counter[str]], key: Callable[[Key], str]) -> dict[str, list[Counter[str]]]:
    groups: defaultdict[str, list[Counter[str]]] = defaultdict(list)
    for group, counts in cells.items():
        groups[key(group)].append(counts)
    return groups
