"""The one place that asks what time it is, so that tests and demos can move it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_offset = timedelta()


def now() -> datetime:
    """The current instant in UTC, cut to milliseconds: what MongoDB stores is what we computed with."""
    instant = datetime.now(UTC)
    if _offset:
        instant += _offset
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@contextmanager
def moved(by: timedelta) -> Iterator[None]:
    """Let the whole process live `by` later (or earlier) for a while."""
    global _offset
    before, _offset = _offset, _offset + by
    try:
        yield
    finally:
        _offset = before
