"""Waiting for what comes true by itself."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def eventually(check: Callable[[], Any], seconds: float = 30, what: str = "") -> Any:
    """Wait until `check`, which may be a coroutine function, answers something true, and give that back.

    Raises AssertionError when it does not in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not (found := await _answer(check)):
        assert loop.time() < deadline, f"not within {seconds} s: {what or getattr(check, '__name__', check)}"
        await asyncio.sleep(0.02)
    return found


async def _answer(check: Callable[[], Any]) -> Any:
    found = check()
    return await found if inspect.isawaitable(found) else found
