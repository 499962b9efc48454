"""A service's part of `jinguo demo`, as its `demo.py` says it: `part`."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from rich.progress import Progress

from shared.local.api import Api

T = TypeVar("T")
CLIENTS = 32
"""People who use the platform at a time."""
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗郑梁谢宋唐许邓冯韩曹"
GIVEN = "春兰桂英秀珍玉华丽芳敏静婷雪梅红霞燕萍慧洁琴娟艳莉佳欣怡悦宁"


class Row(NamedTuple):
    """So many of something were made, or are to be shown."""

    title: str
    people: int
    figure: str | None = None
    """The figure of the board that says how many; None where it has none."""


class Did(NamedTuple):
    """What a part did, and how its board is seen to show it."""

    heads: tuple[str, str]
    """What the rows are, and what they count."""
    rows: Sequence[Row]
    board: Callable[[], Awaitable[Mapping[str, int]]]
    """Reads the board's figures."""
    also: Callable[[Mapping[str, int]], bool] = lambda _: True
    """What else must hold of the figures."""
    note: str = ""

    def agrees(self, shown: Mapping[str, int]) -> bool:
        """Whether the board shows what was done."""
        same = all(shown.get(row.figure, 0) == row.people for row in self.rows if row.figure)
        return same and self.also(shown)


class Part(NamedTuple):
    """`run(api, size, seed)`: made-up people do something, `size` of them; the same seed, the same people."""

    unit: str
    """What there are so many of, and the option of `jinguo demo` that says how many."""
    size: int
    """How many, unless it is said."""
    run: Callable[[Api, int, int], Awaitable[Did]]


def a_name(chance: random.Random, letters: int) -> str:
    """A made-up name."""
    return chance.choice(SURNAMES) + "".join(chance.sample(GIVEN, letters))


async def work_through(title: str, items: Sequence[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do the work of each item, in their order, some at a time; a bar shows how far it got."""
    queue = iter(items)
    with Progress() as progress:
        task = progress.add_task(title, total=len(items))

        async def client() -> None:
            for item in queue:
                await work(item)
                progress.advance(task)

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client())
