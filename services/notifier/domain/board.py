"""The pledge dashboard: cells of county and day, in memory, and what changed in them since when."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

from pydantic import BaseModel

from shared.events import PARTITIONS

GROUP = "notifier.pledge-dashboard"
SOURCE = "pledges"
TABLE = "pledge_cells"


class Counts(BaseModel):
    """The columns of the dashboard, each a number of events but for `members` (people)."""

    signed: int = 0
    withdrawn: int = 0
    invalidated: int = 0
    checked_in: int = 0
    streaks_completed: int = 0
    members: int = 0
    milestones: int = 0
    talks: int = 0
    observations: int = 0


COLUMNS = tuple(Counts.model_fields)


class Cell(Counts):
    """What happened in a county on a day (Asia/Shanghai)."""

    county: str
    day: str


def counts_in(row: Mapping[str, Any]) -> Counts:
    """The columns of a row of the table; those it never counted are 0."""
    return Counts.model_validate(row)


def summed(counts: Iterable[Counts]) -> dict[str, int]:
    """The columns added up."""
    every = list(counts)
    return {column: sum(getattr(each, column) for each in every) for column in COLUMNS}


class Vector(NamedTuple):
    """How far a reading is: the generation of the table, and per partition the archive position up to
    which every event is in it. Written `generation.p0.p1.…`; opaque to clients.
    """

    generation: int
    positions: tuple[int, ...]

    def __str__(self) -> str:
        return ".".join(map(str, (self.generation, *self.positions)))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None when it is none of ours."""
        parts = text.split(".")
        if len(parts) != 1 + PARTITIONS or not all(
            p.isascii() and p.isdigit() and len(p) < 19 for p in parts
        ):
            return None
        generation, *positions = map(int, parts)
        return cls(generation, tuple(positions))

    def reaches(self, earlier: "Vector") -> bool:
        """Whether what changed from `earlier` to here can be told."""
        return self.generation == earlier.generation and all(
            then <= here for then, here in zip(earlier.positions, self.positions, strict=True)
        )


class Reading(NamedTuple):
    """What one look at the database found, all of one instant."""

    vector: Vector
    cursors: tuple[int, ...]
    """How far the group has read, per partition; beyond the vector only while events are parked."""
    parked: int
    rows: Sequence[Mapping[str, Any]]
    whole: bool
    """Whether `rows` are all rows, and not those that changed since the reading before."""
    at: datetime


CellKey = tuple[str, str]
"""(county, day)."""


class Board:
    """The cells as of the last reading.

    `revision` grows with every change of a cell: what a connected client has seen. A client that comes
    back names a vector instead, which holds across processes and restarts.
    """

    def __init__(self) -> None:
        self.reading: Reading | None = None
        self.revision = 0
        self.begun = 0
        """The revision of the last whole reading: clients that saw an earlier one must start anew."""
        self._rows: defaultdict[CellKey, dict[int, Mapping[str, Any]]] = defaultdict(dict)
        self._cells: dict[CellKey, Cell] = {}
        self._changed: dict[CellKey, int] = {}

    def apply(self, reading: Reading) -> bool:
        """Take a reading in. True when it changed a cell, or began anew."""
        self.reading = reading
        next_revision = self.revision + 1
        if reading.whole:
            self._rows.clear()
            self._cells.clear()
            self._changed.clear()
            self.begun = self.revision = next_revision
        touched = {(row["county"], row["day"]) for row in reading.rows}
        for row in reading.rows:
            self._rows[row["county"], row["day"]][row["partition"]] = row
        for key in touched:
            counts = summed(counts_in(row) for row in self._rows[key].values())
            cell = Cell(county=key[0], day=key[1], **counts)
            if cell != self._cells.get(key):
                self._cells[key], self._changed[key] = cell, next_revision
                self.revision = next_revision
        return self.revision == next_revision

    @property
    def cells(self) -> list[Cell]:
        """All cells, by county and day."""
        return [self._cells[key] for key in sorted(self._cells)]

    def after(self, revision: int) -> list[Cell]:
        """The cells that changed after a revision, with their values of now."""
        return [self._cells[key] for key in sorted(self._cells) if self._changed[key] > revision]

    def since(self, vector: Vector) -> list[Cell]:
        """The cells that an event behind `vector` went into, with their values of now."""
        return [
            self._cells[key]
            for key in sorted(self._cells)
            if any(row["position"] > vector.positions[p] for p, row in self._rows[key].items())
        ]
