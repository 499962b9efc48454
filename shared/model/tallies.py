"""Tallies: what a class of documents counts as, said once beside its fields.

    tallies = (
        Tally({"signed": 1, "members": "members"}, where={"serial": {"$gt": 0}},
              by={"county": "division", "day": "signed_day"}),
    )

A board counts the same in events, as they come; the audit recounts it in the documents, and finds no drift.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

COUNTY, DAY = "county", "day"
Sums = Mapping[str, int | str]
"""What a document adds: column -> a number, or the name of its field that has it."""
Fold = Callable[[Any], Mapping[str, int]]
"""A function of the document that says so, where the columns depend on what is in it."""
By = tuple[str, ...]
"""The names of what a count is grouped by, in their order: `("county", "day")`."""


class Tally(NamedTuple):
    """What the documents that `where` finds add to which columns of which group."""

    adds: Sums | Fold
    by: Mapping[str, str]
    """Group -> the field that has its value; `county`: that of the division in the field. Where the field is
    a list, the document counts once for each of its entries."""
    where: Mapping[str, Any] = {}
    every: Sequence[str] = ()
    """All the columns there are, of a function."""

    @property
    def columns(self) -> Collection[str]:
        """All the columns that it may add to."""
        return self.every if callable(self.adds) else self.adds.keys()

    @property
    def fields(self) -> set[str]:
        """The fields that a document must have for it."""
        added = [] if callable(self.adds) else [by for by in self.adds.values() if isinstance(by, str)]
        return {*self.by.values(), *added}
