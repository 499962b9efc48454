"""The in-app inboxes: of persons, of a county's officers, and of the desks of the green channel."""

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel

from services.notifier.domain.messages import Contact, Message
from services.notifier.queries.messages import unread
from services.notifier.templates import kind_shown, words_of
from services.notifier.wording import Language
from shared.http.access import Caller, Forbidden, Role
from shared.http.belonging import belonging
from shared.http.callers import Officer, Resident
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.proofs import proven_since
from shared.http.reach import OwnDivision
from shared.http.routes import Router
from shared.model.clock import now
from shared.model.problems import NotFound
from shared.store.store import Store

from .callers import AtDesk

router = Router(tags=["inbox"])
Recipient = Annotated[str, Path(max_length=64)]
MessageId = Annotated[str, Path(max_length=200)]
Messages = Annotated[Listing[Message], listed(Message, day="at")]


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
        title, body = words_of(message, language)
        return cls(
            id=message.id,
            kind=kind_shown(message),
            title=title,
            text=body,
            at=message.at,
            read_at=message.read_at,
        )


class InboxView(Page[MessageView]):
    """A page of an inbox, newest first."""

    unread: int
    """In the whole inbox, counted up to 100."""


@router.get("/inboxes")
async def own_inboxes(caller: Resident, store: StoreDep) -> list[str]:
    """The ids of the persons that the caller is: by the account, or by a phone that was proven by a code in
    the last 90 days. Each has an inbox.
    """
    return [contact.id for contact in await belonging(store, Contact, caller)]


@router.get("/inbox/{person}")
async def read_inbox(
    person: Recipient,
    caller: Resident,
    page: Messages,
    lang: Language = "zh",
) -> InboxView:
    """The caller's own messages. 404 for the inbox of another person."""
    await _own(person, caller, page.store)
    return await _page(page, person, lang)


@router.post("/inbox/{person}/messages/{message_id}/read")
async def mark_read(
    person: Recipient, message_id: MessageId, caller: Resident, store: StoreDep, lang: Language = "zh"
) -> MessageView:
    """Mark a message read. Again is the same: the first time counts."""
    await _own(person, caller, store)
    return await _read(store, person, message_id, lang)


@router.get("/offices/{division}/inbox")
async def read_office_inbox(
    division: OwnDivision,
    _: Officer,
    page: Messages,
    lang: Language = "zh",
) -> InboxView:
    """The messages to a county's officers (330800: to the city's)."""
    return await _page(page, _office(division), lang)


@router.post("/offices/{division}/inbox/messages/{message_id}/read")
async def mark_office_read(
    division: OwnDivision, message_id: MessageId, _: Officer, store: StoreDep, lang: Language = "zh"
) -> MessageView:
    """Mark a message to a county's officers read, for all of them."""
    return await _read(store, _office(division), message_id, lang)


@router.get("/desks/{desk}/inbox")
async def read_desk_inbox(
    desk: Recipient,
    caller: AtDesk,
    page: Messages,
    lang: Language = "zh",
) -> InboxView:
    """The messages to a desk: `coordinator`, `data-officer`, or a clinician's department."""
    return await _page(page, _desk(desk, caller), lang)


@router.post("/desks/{desk}/inbox/messages/{message_id}/read")
async def mark_desk_read(
    desk: Recipient, message_id: MessageId, caller: AtDesk, store: StoreDep, lang: Language = "zh"
) -> MessageView:
    """Mark a message to a desk read, for all who work at it."""
    return await _read(store, _desk(desk, caller), message_id, lang)


def _desk(desk: str, caller: Caller) -> str:
    """The recipient that a desk is. Raises Forbidden for one that the caller does not work at."""
    own = caller.department if caller.role is Role.CLINICIAN else caller.role
    if desk != own:
        raise Forbidden(desk=desk)
    return f"desk:{desk}"


async def _own(person: str, caller: Caller, store: Store) -> None:
    """Raises NotFound for the inbox of another person, whether there is one or not."""
    contact = await store.find(Contact, person)
    if contact is None or not contact.reached_by(store.vault.blind_index, caller, proven_since()):
        raise NotFound(kind="inboxes")


def _office(division: str) -> str:
    """The recipient that a county's officers are."""
    return f"org:{division}"


async def _page(page: Listing[Message], recipient: str, lang: Language) -> InboxView:
    found = await page({"recipient": recipient}, [("at", -1)], lambda one: MessageView.of(one, lang))
    return InboxView(items=found.items, next=found.next, unread=await unread(page.store, recipient))


async def _read(store: Store, recipient: str, message_id: str, lang: Language) -> MessageView:
    def answer(message: Message) -> MessageView:
        return MessageView.of(message, lang)

    message = await store.load(Message, message_id)
    if message.recipient == recipient and message.read_at is not None:
        return answer(message)
    at = now()
    return await store.change(Message, message_id, lambda found: found.read(recipient, at), answer)
