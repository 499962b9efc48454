"""Log lines in tests."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def plain_tracebacks() -> Iterator[None]:
    """As in production. By default a traceback is drawn with every local: seconds of the loop's time."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
