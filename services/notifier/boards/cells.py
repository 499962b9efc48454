"""The cells of a board in memory: sums over lanes, and what changed in them since when."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.consumers.tables import LANE, STAMP, Reading, Stamps

Key = tuple[str, ...]
"""A group: the values of the board's `by`."""


class Cells:
    """The cells as of the last reading.

    `revision` grows with every change of a cell: what a connected client has seen. A client that comes back
    names stamps instead, which hold across processes and restarts.
    """

    def __init__(self, by: Sequence[str]) -> None:
        self._by = by
        self.reading: Reading | None = None
        self.revision = 0
        self.begun = 0
        """The revision of the last whole reading: clients that saw an earlier one must start anew."""
        self._rows: defaultdict[Key, dict[int, Mapping[str, Any]]] = defaultdict(dict)
        self._cells: dict[Key, Counter[str]] = {}
        self._changed: dict[Key, int] = {}

    def apply(self, reading: Reading) -> bool:
        """Take a reading in. True when it changed a cell, or began anew."""
        self.reading = reading
        next_revision = self.revision + 1
        if reading.whole:
            self._rows.clear()
            self._cells.clear()
            self._changed.clear()
            self.begun = self.revision = next_revision
        touched = {self._key(row) for row in reading.rows}
        for row in reading.rows:
            self._rows[self._key(row)][row[LANE]] = row
        for key in touched:
            columns = self._summed(key)
            if columns != self._cells.get(key):
                self._cells[key], self._changed[key] = columns, next_revision
                self.revision = next_revision
        return self.revision == next_revision

    def _key(self, row: Mapping[str, Any]) -> Key:
        return tuple(row[name] for name in self._by)

    def _summed(self, key: Key) -> Counter[str]:
        columns: Counter[str] = Counter()
        for row in self._rows[key].values():
            facts = {"_id", LANE, STAMP, *self._by}
            columns.update({name: count for name, count in row.items() if name not in facts})
        return columns

    def __getitem__(self, key: Key) -> Counter[str]:
        return self._cells[key]

    def items(self) -> Iterator[tuple[Key, Counter[str]]]:
        """All cells, by group."""
        return ((key, self._cells[key]) for key in sorted(self._cells))

    def after(self, revision: int) -> list[Key]:
        """The groups that changed after a revision."""
        return [key for key in sorted(self._cells) if self._changed[key] > revision]

    def since(self, stamps: Stamps) -> list[Key]:
        """The groups that a commit after these stamps went into."""
        return [
            key
            for key in sorted(self._cells)
            if any(row[STAMP] > stamps.lanes[lane] for lane, row in self._rows[key].items())
        ]
