"""The in-app inbox."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from services.notifier.domain.messages import Message
from services.notifier.queries.messages import inbox_page, unread
from services.notifier.templates import TEMPLATES, Language
from shared.clock import now
from shared.service import StoreDep

router = APIRouter(tags=["inbox"])
Recipient = Annotated[str, Path(max_length=64)]
MessageId = Annotated[str, Path(max_length=200)]


class MessageView(BaseModel):
    """A message as its reader sees it."""

    id: str
    kind: str
    title: str
    text: str
    at: datetime
    read_at: datetime | None

    @classmethod
    def of(cls, message: Message, language: Language) -> "MessageView":
        """The message in a language."""
        title, body = TEMPLATES[message.template].text(language, message.facts)
        return cls(
            id=message.id,
            kind=message.template,
            title=title,
            text=body,
            at=message.at,
            read_at=message.read_at,
        )


class InboxView(BaseModel):
    """A page of an inbox, newest first."""

    messages: list[MessageView]
    next: str | None
    """Give it as `after` for the next page; None on the last."""
    unread: int
    """In the whole inbox, counted up to 100."""


@router.get("/inbox/{recipient}")
async def read_inbox(
    recipient: Recipient,
    store: StoreDep,
    after: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    lang: Language = "zh",
) -> InboxView:
    """The messages of a person, or of a county's officers (`org:<county code>`)."""
    found = await inbox_page(store, recipient, after, limit + 1)
    page = found[:limit]
    return InboxView(
        messages=[MessageView.of(message, lang) for message in page],
        next=page[-1].id if len(found) > limit else None,
        unread=await unread(store, recipient),
    )


@router.post("/inbox/{recipient}/messages/{message_id}/read")
async def mark_read(
    recipient: Recipient, message_id: MessageId, store: StoreDep, lang: Language = "zh"
) -> MessageView:
    """Mark a message read. Again is the same: the first time counts."""

    def answer(message: Message) -> MessageView:
        return MessageView.of(message, lang)

    message = await store.load(Message, message_id)
    if message.recipient == recipient and message.read_at is not None:
        return answer(message)
    at = now()
    return await store.change(Message, message_id, lambda found: found.read(recipient, at), answer)
