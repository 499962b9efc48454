"""How far and how fresh a board is, and what it says when it cannot go on from where a client was."""

from datetime import datetime

from pydantic import BaseModel


class Freshness(BaseModel):
    """How far and how fresh the numbers are."""

    id: str
    """Names this state: send it as `Last-Event-ID` (or `since`) to get what changed after it."""
    as_of: datetime
    """When the database was read."""
    stale_since: datetime | None = None
    """Set while events older than a few seconds are not in the numbers, or the database is away."""
    waiting: int = 0
    """Events that could not be handled and wait for somebody: they are not in the numbers."""


class Reset(Freshness):
    """The id that was asked for cannot be resumed from: a snapshot follows."""

    reason: str
