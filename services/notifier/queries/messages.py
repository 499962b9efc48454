"""Finding messages."""

from datetime import datetime
from typing import Any

from services.notifier.domain.messages import Message, Outgoing
from shared.store.store import Store

UNREAD_AT_MOST = 100


async def unread(store: Store, recipient: str) -> int:
    """How many messages of an inbox are unread, counted up to UNREAD_AT_MOST."""
    return await store.count(Message, {"recipient": recipient, "read_at": None}, limit=UNREAD_AT_MOST)


async def valid_codes(store: Store, at: datetime, limit: int, **about: str | None) -> list[Outgoing]:
    """Outgoing codes that have not expired, newest first. `about`: what they are for, where that is given."""
    where: dict[str, Any] = {"expires_at": {"$gt": at}}
    where |= {name: value for name, value in about.items() if value is not None}
    return await store.select(Outgoing, where, sort=(("at", -1),), limit=limit)
