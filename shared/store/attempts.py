"""Trying again while somebody else is faster."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from shared.model.problems import AlreadyExists, VersionConflict

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 12
"""How often a change is tried while somebody else is faster."""


def repeated(*taken: str) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """A function that reads and then changes, from its start again while somebody else was faster: the
    version that it read is gone, or one of the unique indexes named in `taken` has what it wanted.

    Raises VersionConflict after the last attempt, and what else the function raises.
    """

    def again(work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @wraps(work)
        async def trying(*args: P.args, **kwargs: P.kwargs) -> T:
            for attempt in range(ATTEMPTS):
                try:
                    return await work(*args, **kwargs)
                except VersionConflict:
                    pass
                except AlreadyExists as error:
                    if error.index not in taken:
                        raise
                await asyncio.sleep(random.random() * 0.01 * attempt)  # whoever we met has to finish first
            raise VersionConflict

        return trying

    return again
