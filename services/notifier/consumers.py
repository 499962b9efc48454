"""What the notifier reacts to: every event becomes messages, and tells how people are reached.

One group does it all, built from what the activities say. What boards count has groups of its own.
"""

from collections import defaultdict
from datetime import timedelta
from typing import Any

from services.notifier.activities import ACTIVITIES
from services.notifier.activity import Code, Reach, person_of
from services.notifier.domain.messages import Contact, Message, Outgoing, message_id
from services.notifier.templates import TEMPLATES, kind_of, said, template_of
from shared.consumers.declare import Consumer
from shared.consumers.transaction import Transaction
from shared.model.clock import now
from shared.model.documents import Document
from shared.model.events import Event

messages = Consumer("notifier.messages")
_codes = {one.say.event: one for activity in ACTIVITIES for one in activity.codes}
_reaches: defaultdict[type[Event], list[Reach]] = defaultdict(list)
for _reach in (reach for activity in ACTIVITIES for reach in activity.reaches):
    _reaches[_reach.event].append(_reach)


async def tell(event: Event, tx: Transaction) -> None:
    """Learn how people are reached, send the code that an event carries, put what is said into inboxes."""
    for reach in _reaches[type(event)]:
        await _learn(event, reach, tx)
    if code := _codes.get(type(event)):
        await _send(event, code, tx)
    await _put_into_inboxes(event, tx)


async def _put_into_inboxes(event: Event, tx: Transaction) -> None:
    name = template_of(event)
    words = said(event, TEMPLATES[name])
    for recipient in {audience.inbox(event) for audience in TEMPLATES[name].to}:
        message = Message(
            id=message_id(event.envelope.id, recipient),
            recipient=recipient,
            template=name,
            kind=kind_of(name),
            said=words,
            at=event.envelope.time,
        )
        # One that exists stays as it is: a replay neither doubles a message nor makes it unread.
        await tx.create(message)


async def _send(event: Any, code: Code, tx: Transaction) -> None:
    """Put a code on its way to the phone that is in the event's box: it goes on as it came."""
    expires = event.envelope.time + timedelta(minutes=event.valid_minutes)
    if event.sealed is None or expires <= now():  # replayed: nobody waits for it any more
        return
    person = person_of(event, code.person)
    outgoing = Outgoing(
        id=message_id(event.envelope.id, person),
        channel="sms",
        recipient=person,
        template=code.say.name,
        valid_minutes=event.valid_minutes,
        sealed=event.sealed,
        sealed_for=event.type,
        at=event.envelope.time,
        expires_at=expires,
        **{code.about: getattr(event, code.about)},
    )
    await tx.create(outgoing)


async def _learn(event: Event, reach: Reach, tx: Transaction) -> None:
    person = person_of(event, reach.person)
    contact = await tx.load(Contact, person)
    if contact is None and reach.begins:
        contact = Contact(id=person)
    if contact is not None:
        reach.learn(contact, event, tx.vault.blind_index)
        if contact.version or contact.phone_key or contact.account_key:
            tx.save(contact)


def _contact(event: Event) -> tuple[type[Document], str]:
    return Contact, person_of(event, _reaches[type(event)][0].person)


for _event in dict.fromkeys(one.event for activity in ACTIVITIES for one in activity.texts):
    _of_it = _reaches.get(_event, [])
    messages.on(_event, loads=_contact if _of_it else None, opens=any(reach.opens for reach in _of_it))(tell)
