"""Finding messages."""

from datetime import datetime
from typing import Any

from services.notifier.domain.messages import Message, Outgoing
from shared.model.problems import NotFound
from shared.store.store import Store

NEWEST_FIRST = (("at", -1), ("_id", -1))
UNREAD_AT_MOST = 100


async def inbox_page(store: Store, recipient: str, after: str | None, limit: int) -> list[Message]:
    """Messages of an inbox, newest first, behind the message `after`. Raises NotFound."""
    where: dict[str, Any] = {"recipient": recipient}
    if after is not None:
        last = await store.load(Message, after)
        if last.recipient != recipient:
            raise NotFound(kind=Message.collection)
        where["$or"] = [{"at": {"$lt": last.at}}, {"at": last.at, "_id": {"$lt": last.id}}]
    return await store.select(Message, where, sort=NEWEST_FIRST, limit=limit)


async def unread(store: Store, recipient: str) -> int:
    """How many messages of an inbox are unread, counted up to UNREAD_AT_MOST."""
    return await store.count(Message, {"recipient": recipient, "read_at": None}, limit=UNREAD_AT_MOST)


async def valid_codes(store: Store, at: datetime, limit: int, **about: str | None) -> list[Outgoing]:
    """Outgoing codes that have not expired, newest first. `about`: what they are for, where that is given."""
    where: dict[str, Any] = {"expires_at": {"$gt": at}}
    where |= {name: value for name, value in about.items() if value is not None}
    return await store.select(Outgoing, where, sort=(("at", -1),), limit=limit)
