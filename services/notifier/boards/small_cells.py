"""Counts of people in groups, without small ones: nobody can be picked out, nor worked out from the rest.

Groups of fewer than five are not shown by themselves but merged into one block, the empty ones with them (who
is not in it would have somebody otherwise), and the next smallest until it has five people. The blocks are a
partition: nothing is left over that a total minus the rest would tell. Several partitions of one population
may be shown side by side: two numbers of five and more fix what they have in common only where one of them
is everybody.

Whoever knows these rules must not work a small group out of them either. Groups are told apart by their sizes
alone, so any two of a block could have changed places: what is left to guard against is that all of them have
the same number, and can have no other.
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
    """The partition to show; nothing when all together are too few.

    `counts`: people by group, with every group that there is. Empty groups are left out where no small one
    is to be hidden among them.
    """
    if sum(counts.values()) < LEAST:
        return []
    small = {group: people for group, people in counts.items() if people < LEAST}
    large = {group: people for group, people in counts.items() if people >= LEAST}
    if not any(small.values()):
        small = {}
    while large and small and _tells(small):
        least = min(large.values())
        small |= {group: people for group, people in large.items() if people == least}
        large = {group: people for group, people in large.items() if people > least}
    shown = [Block(groups=[group], people=people) for group, people in large.items()]
    if small:
        shown.append(Block(groups=sorted(small), people=sum(small.values())))
    return sorted(shown, key=lambda block: block.groups)


def _tells(block: Mapping[str, int]) -> bool:
    """Whether it is too small, or its sum says what each has: the most that a small group can have."""
    return sum(block.values()) < LEAST or set(block.values()) == {LEAST - 1}


def split(first: int, second: int) -> tuple[int, int] | None:
    """Two parts of one population, each five or more or nobody; None where showing them tells too much."""
    return (first, second) if all(part == 0 or part >= LEAST for part in (first, second)) else None
