"""Counts of people in groups, without small ones: nobody can be picked out, nor worked out from the rest.

Groups of fewer than five are not shown by themselves but merged, the smallest first, until every block that
is shown has five or more. The blocks are a partition: nothing is left over that a total minus the rest
would tell. Several partitions of one population may be shown side by side: two numbers of five and more
fix what they have in common only where one of them is everybody.
"""

from collections.abc import Mapping

from pydantic import BaseModel

LEAST = 5
"""People in a block that is shown (`docs`: dashboard cells under 5 are suppressed for health data)."""


class Block(BaseModel):
    """How many people are in these groups together."""

    groups: list[str]
    people: int


def blocks(counts: Mapping[str, int]) -> list[Block]:
    """The partition to show, empty groups left out; nothing when all together are too few."""
    groups = sorted((people, group) for group, people in counts.items() if people > 0)
    if sum(people for people, _ in groups) < LEAST:
        return []
    merged: list[tuple[int, str]] = []
    while groups and (groups[0][0] < LEAST or (merged and _sum(merged) < LEAST)):
        merged.append(groups.pop(0))
    shown = [Block(groups=[group], people=people) for people, group in groups]
    if merged:
        shown.append(Block(groups=sorted(group for _, group in merged), people=_sum(merged)))
    return sorted(shown, key=lambda block: block.groups)


def split(first: int, second: int) -> tuple[int, int] | None:
    """Two parts of one population, each five or more or nobody; None where showing them tells too much."""
    return (first, second) if all(part == 0 or part >= LEAST for part in (first, second)) else None


def _sum(merged: list[tuple[int, str]]) -> int:
    return sum(people for people, _ in merged)
