"""Boards about people's health or families: who stands where and how long; no small group, no day by day.

The states a person can be in are one population cut into parts; how it is cut further depends on the part, so
that nothing small is left over. The rules for small groups are in `small_cells.py`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel, create_model

from services.notifier.boards.cells import Cells
from services.notifier.boards.declare import COUNTY, Board
from services.notifier.boards.freshness import Freshness
from services.notifier.boards.small_cells import LEAST, Block, blocks, split
from shared.city.divisions import CITY, counties

STANDS_IN, WAITED = "in_", "waited_"
"""Columns: how many stand in a state, and how many waited so many days for what they asked for."""
LONGEST = 365
"""Days of waiting that are told apart; whoever waited longer counts as this."""
Columns = Mapping[str, int]


def step(was: str | None, state: str, waited_days: int | None = None, **counts: int) -> dict[str, int]:
    """What a step from one state to another adds. A name that is new stands nowhere before."""
    added = Counter({STANDS_IN + state: 1}) + Counter(counts)
    if was is not None:
        added[STANDS_IN + was] -= 1
    if waited_days is not None:
        added[f"{WAITED}{min(waited_days, LONGEST)}"] += 1
    return dict(added)


class Part(NamedTuple):
    """A part of the population: those who stand in one of these states."""

    name: str
    title: str
    title_en: str
    states: Sequence[str]


class Groups(NamedTuple):
    """All the groups there are of one kind."""

    title: str
    values: Sequence[str]


class Split(NamedTuple):
    """Two counts that are parts of one: each is made of columns, times a factor."""

    name: str
    title: str
    title_en: str
    shown: str
    """The part that the page shows."""
    parts: Mapping[str, Mapping[str, int]]


class Waiting(BaseModel):
    """Days waited (half of the people, nine of ten waited no longer)."""

    p50: int
    p90: int


class Population(BaseModel):
    """People, cut in one way and in another. Each cut adds up to `people`."""

    people: int
    by_state: list[Block]


class Hidden(BaseModel):
    """What is None is too small to be shown, or to show what is beside it."""

    as_of: datetime
    stale_since: datetime | None = None
    least: int = LEAST
    people: int | None


@dataclass(frozen=True, eq=False, kw_only=True)
class HiddenBoard(Board):
    """A board of people. `groups`: for each of `by` but the county, all the groups there are."""

    hides: bool = field(default=True, init=False)
    groups: Mapping[str, Groups] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """What groups and states are called on the page."""
    parts: tuple[Part, Part] = ()  # type: ignore[assignment]  # every board gives both
    waited_by: str | None = None
    """The group by which the days waited are told too."""
    splits: Sequence[Split] = ()

    @cached_property
    def counted(self) -> tuple[str, ...]:
        """The columns that are counted: of all its states and days, and what the splits are made of."""
        states = [STANDS_IN + state for part in self.parts for state in part.states]
        waited = [f"{WAITED}{days}" for days in range(LONGEST + 1)]
        split = {name for of in self.splits for made_of in of.parts.values() for name in made_of}
        return (*states, *waited, *sorted(split))

    @cached_property
    def _every(self) -> dict[str, Groups]:
        return {
            COUNTY: Groups("按县（市、区） By county", [county.code for county in counties()]),
            **self.groups,
        }

    @cached_property
    def _population(self) -> type[BaseModel]:
        cuts: dict[str, Any] = {f"by_{name}": (list[Block], ...) for name in self.by}
        return create_model(f"{self.source.capitalize()}Population", __base__=Population, **cuts)

    @cached_property
    def snapshot(self) -> type[BaseModel]:
        """The whole board."""
        figures: dict[str, Any] = {part.name: (self._population | None, None) for part in self.parts}
        figures["waited"] = (Waiting | None, None)
        if self.waited_by:
            figures[f"waited_by_{self.waited_by}"] = (dict[str, Waiting], ...)
        figures |= {of.name: (dict[str, int] | None, None) for of in self.splits}
        return create_model(f"{self.source.capitalize()}Board", __base__=Hidden, **figures)

    def about(self) -> dict[str, Any]:
        """What the page is told to draw."""
        cuts = [{"name": f"by_{name}", "title": self._every[name].title} for name in self.by]
        return {
            "title": self.title,
            "title_en": self.title_en,
            "parts": [part._asdict() for part in self.parts],
            "cuts": [*cuts, {"name": "by_state", "title": "按状态 By state"}],
            "splits": [
                {"name": of.name, "part": of.shown, "title": of.title, "title_en": of.title_en}
                for of in self.splits
            ],
            "names": {county.code: county.name for county in counties()} | {CITY: "市本级"} | {**self.names},
        }

    def view(self, cells: Cells, fresh: Freshness) -> BaseModel:
        """The board made from its cells."""
        rows = {key: columns for key, columns in cells.items()}
        parts = [self._people(rows, part.states) for part in self.parts]
        sizes = tuple(part.total() for part in parts)
        shown = split(*sizes)
        figures: dict[str, Any] = {
            part.name: self._cut(people, part.states) if shown else None
            for part, people in zip(self.parts, parts, strict=True)
        }
        figures["waited"] = _waiting(rows.values())
        if self.waited_by:
            figures[f"waited_by_{self.waited_by}"] = self._waiting_by(self.waited_by, rows)
        figures |= {of.name: _halves(rows.values(), of.parts) for of in self.splits}
        people = sum(sizes) if sum(sizes) >= LEAST else None
        return self.snapshot(as_of=fresh.as_of, stale_since=fresh.stale_since, people=people, **figures)

    def _people(
        self, rows: Mapping[tuple[str, ...], Columns], states: Sequence[str]
    ) -> "Counter[tuple[str, ...]]":
        """How many people by group and state."""
        counts: Counter[tuple[str, ...]] = Counter()
        for key, columns in rows.items():
            for state in states:
                counts[*key, state] += columns[STANDS_IN + state]
        return counts

    def _cut(self, counts: "Counter[tuple[str, ...]]", states: Sequence[str]) -> dict[str, Any]:
        def by(place: int, every: Sequence[str]) -> list[Block]:
            groups = Counter(dict.fromkeys(every, 0))
            for key, people in counts.items():
                groups[key[place]] += people
            return blocks(groups)

        cuts = {f"by_{name}": by(place, self._every[name].values) for place, name in enumerate(self.by)}
        return {"people": counts.total(), **cuts, "by_state": by(len(self.by), states)}

    def _waiting_by(self, name: str, rows: Mapping[tuple[str, ...], Columns]) -> dict[str, Waiting]:
        place, found = self.by.index(name), dict[str, list[Columns]]()
        for key, columns in rows.items():
            found.setdefault(key[place], []).append(columns)
        if any(0 < _days(own).total() < LEAST for own in found.values()):
            return {}  # beside that of all, the others' would tell of a small one
        waiting = {group: _waiting(own) for group, own in sorted(found.items())}
        return {group: waited for group, waited in waiting.items() if waited}


def _days(rows: Iterable[Columns]) -> Counter[int]:
    """People by the days that they waited."""
    days: Counter[int] = Counter()
    for columns in rows:
        for column, people in columns.items():
            if column.startswith(WAITED):
                days[int(column.removeprefix(WAITED))] += people
    return days


def _waiting(rows: Iterable[Columns]) -> Waiting | None:
    """None while fewer than LEAST people have been placed."""
    days = _days(rows)
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


def _halves(rows: Iterable[Columns], parts: Mapping[str, Mapping[str, int]]) -> dict[str, int] | None:
    every = list(rows)
    first, second = (
        sum(columns[name] * factor for columns in every for name, factor in made_of.items())
        for made_of in parts.values()
    )
    shown = split(first, second)
    return dict(zip(parts, shown, strict=True)) if shown else None
