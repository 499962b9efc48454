"""How an activity says what its board counts: from one declaration follow group, table, routes and page.

A row of the table is a group (the values of `by`) in a lane; only the fold below adds to its columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from services.notifier.boards.cells import Cells
from services.notifier.boards.freshness import Freshness
from shared.city.divisions import CITY, county_of
from shared.consumers.declare import Consumer
from shared.consumers.transaction import Transaction
from shared.model.events import Event

Steps = Callable[[Any], Mapping[str, int]]
Fold = Mapping[str, int | str] | Steps
"""What an event adds: column -> a number, or the name of the event's field that has it. Or a function that
says so, where the columns depend on the event."""
COUNTY, DAY = "county", "day"


@dataclass(frozen=True, eq=False, kw_only=True)
class Board:
    """What is counted of one activity, by which groups, and who may read it.

    Raises TypeError for a fold, or a group, that names a field its event lacks.
    """

    source: str
    """The service whose events are counted; also the board's name."""
    title: str
    title_en: str
    by: tuple[str, ...]
    """The fields of an event that make a group; `county`: that of its division, the city's own without."""
    counts: Mapping[type[Event], Fold]
    readers: Any
    """The access rule of its routes (`may(…)`, `anyone(…)`)."""

    hides: bool = field(default=False, init=False)
    """Whether small groups are hidden: then the whole board is told at every change, and no single cell."""

    def __post_init__(self) -> None:
        for event, fold in self.counts.items():
            taken = [] if callable(fold) else [name for name in fold.values() if isinstance(name, str)]
            groups = [name for name in self.by if name != COUNTY]
            if missing := [name for name in (*taken, *groups) if name not in event.model_fields]:
                raise TypeError(f"{self.source}: {event.__name__} has no {', '.join(missing)}")

    @property
    def group(self) -> str:
        """The consumer group that counts for it."""
        return f"notifier.{self.source}-board"

    @property
    def table(self) -> str:
        """The table that it counts in."""
        return f"{self.source}_board"

    @cached_property
    def consumer(self) -> Consumer:
        """The consumer group with its one handler."""
        consumer = Consumer(self.group, tables={self.table: ()}, followed=[self.table])

        @consumer.on(*self.counts)
        async def count(event: Event, tx: Transaction) -> None:
            added = self._added(event)
            tx.tally(self.table, self._group_of(event), event.envelope.partition, **added)

        return consumer

    def _added(self, event: Event) -> dict[str, int]:
        fold = self.counts[type(event)]
        if callable(fold):
            return {name: by for name, by in fold(event).items() if by}
        return {name: getattr(event, by) if isinstance(by, str) else by for name, by in fold.items()}

    def _group_of(self, event: Event) -> dict[str, str]:
        return {
            name: county_of(event.division or CITY) if name == COUNTY else _said(event, name)
            for name in self.by
        }

    @property
    def counted(self) -> Sequence[str]:
        """The columns that are counted."""
        raise NotImplementedError

    @property
    def snapshot(self) -> type[BaseModel]:
        """The shape of the whole board."""
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """What the page is told to draw."""
        raise NotImplementedError

    def view(self, cells: Cells, fresh: Freshness) -> BaseModel:
        """What is shown of the cells."""
        raise NotImplementedError

    def delta(self, cells: Cells, changed: Sequence[tuple[str, ...]], fresh: Freshness) -> BaseModel:
        """The groups that changed, with their values of now."""
        raise NotImplementedError

    def audited(self, cells: Cells) -> dict[str, dict[str, int]]:
        """What it counts, for the audit: the group's values joined by `:` -> its columns."""
        return {":".join(key): {c: n for c, n in columns.items() if n} for key, columns in cells.items()}


def _said(event: Event, name: str) -> str:
    value = getattr(event, name)
    return value.isoformat() if name == DAY else str(value)
