"""What the notifier holds about a person: by what they are known, and their messages.

The persons are those of the services that asked for their data: here they are only forgotten.
"""

from collections.abc import Sequence
from typing import Any

from shared.http.access import Caller
from shared.http.persons import Held, PersonalData
from shared.model.personal import PersonId
from shared.store.store import Store

from .domain.messages import Contact, Message
from .queries.contacts import MOST, contacts_of
from .templates import kind_shown, words_of


async def held(store: Store, caller: Caller) -> list[Held]:
    """The caller's inboxes."""
    return [await _of_contact(store, contact) for contact in await contacts_of(store, caller)]


async def of_persons(store: Store, persons: Sequence[PersonId]) -> list[Held]:
    """The inboxes of some persons."""
    contacts = await store.select(Contact, {"_id": {"$in": persons}}, limit=MOST)
    return [await _of_contact(store, contact) for contact in contacts]


async def _of_contact(store: Store, contact: Contact) -> Held:
    messages = await store.select(Message, {"recipient": contact.id}, limit=MOST)
    shown = [_shown(message) for message in messages]
    return Held(contact.id, {"contacts": [{"id": contact.id}], "messages": shown})


def _shown(message: Message) -> dict[str, Any]:
    """A message as its reader knows it: the template's name would say too much about a patient."""
    title, text = words_of(message, "zh")
    kept = message.model_dump(mode="json", include={"id", "version", "recipient", "at", "read_at"})
    return kept | {"kind": kind_shown(message), "title": title, "text": text}


async def mark(store: Store, held: Held) -> None:
    """Nothing leads there any more. Messages name nobody and stay."""
    await store.change(Contact, held.person, Contact.forget)


personal_data = PersonalData(held, of_persons, mark, own_keys=False)
