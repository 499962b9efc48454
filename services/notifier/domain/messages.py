"""Messages: what stands in an inbox, and what leaves by another channel."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field

from shared.contracts.notifier import ContactForgotten
from shared.model.documents import Document, Index, Most, Publishes
from shared.model.known import ByAccount, ByPhone, PartOf
from shared.model.personal import PersonId
from shared.model.problems import NotFound

BY_PHONE = ByPhone("phone_key", namespace="contact", proven="proven_at")


class Contact(Document):
    """Whose inbox it is: a person's id, and by what its reader is known.

    What is not sensitive is reached by the phone, once that was proven and for as long as it stands for who
    proved it; what is about health or a family by the account alone.
    """

    collection: ClassVar[str] = "contacts"
    person_field: ClassVar[str | None] = "id"
    known_by = (ByAccount("account_key"), BY_PHONE)
    publishes: ClassVar[Publishes] = {ContactForgotten: ("person",)}
    indexes = (
        Index("phones", [("phone_key", 1)]),
        Index("accounts", [("account_key", 1)], where={"account_key": {"$gt": ""}}),
    )

    phone_key: str = ""
    """The keyed hash of a phone, which anybody may have typed."""
    proven_at: datetime | None = None
    """When somebody last showed that they hold it; until then it leads nowhere."""
    account_key: str = ""
    """The keyed hash of an account, from the service that knows whose record it is."""

    def typed(self, phone_key: str, account_key: str | None) -> None:
        """A form names this phone, and came from this account, or from none."""
        if self.phone_key != phone_key:
            self.phone_key, self.proven_at = phone_key, None
        self.account_key = account_key or self.account_key

    def prove(self, at: datetime) -> None:
        """The phone's code was brought; a review that ends later proves nothing anew."""
        self.proven_at = self.proven_at or at

    def belong_to(self, account_key: str | None) -> None:
        """It is sensitive: an account finds it, or nobody does."""
        self.phone_key, self.proven_at = "", None
        self.account_key = account_key or self.account_key

    def forget(self, now: datetime) -> None:
        """The person was erased: nothing leads here any more. Again is no change."""
        if self.phone_key or self.account_key:
            self.phone_key, self.proven_at, self.account_key = "", None, ""
            self.record(ContactForgotten.of(self, person=self.id))


class Message(Document):
    """One message in one inbox, in the words it was said in: a template may change, or be renamed.

    The id is `<event id>:<recipient>`: one message per recipient and event, however often it comes.
    """

    collection: ClassVar[str] = "messages"
    part_of = PartOf(Contact, "recipient")
    indexes = (Index("inbox", [("recipient", 1), ("at", -1), ("_id", -1)]),)

    recipient: str
    """A person's id, or `org:<county code>`: the inbox of a county's officers."""
    template: str
    kind: str = ""
    """What readers may sort messages by."""
    said: Annotated[dict[str, tuple[str, str]], Most(8)] = Field(default_factory=dict)
    """Language -> title and text."""
    facts: Annotated[dict[str, Any], Most(64)] = Field(default_factory=dict)
    """Of messages from before the words were kept: what they are made from."""
    at: datetime
    """When the event happened, UTC."""
    read_at: datetime | None = None

    def read(self, recipient: str, at: datetime) -> None:
        """Mark it read; the first time counts. Raises NotFound when it stands in another inbox."""
        if self.recipient != recipient:
            raise NotFound(kind=self.collection)
        self.read_at = self.read_at or at


def contact_key(blind: Callable[[str], str], phone: str) -> str:
    """What a (normal) phone is matched by; `blind` is the vault's blind index."""
    return blind(f"{BY_PHONE.namespace}|{phone}")


class Outgoing(Document):
    """A one-time code on its way to a phone. Phone and code stay in the event's sealed box."""

    collection: ClassVar[str] = "outgoing"
    indexes = (
        Index("pledge", [("pledge_id", 1), ("at", -1)]),
        Index("claim", [("claim_id", 1), ("at", -1)], where={"claim_id": {"$gt": ""}}),
        Index("newest", [("at", -1)]),
        Index("expired", [("expires_at", 1)], expire_after=0),
    )

    channel: str
    pledge_id: str = ""
    claim_id: str = ""
    recipient: PersonId
    template: str
    valid_minutes: int
    sealed: str
    """The event's box (base64), as it came."""
    sealed_for: str
    """The event's type: the context that the box is opened with."""
    at: datetime
    expires_at: datetime


def message_id(event_id: str, recipient: str) -> str:
    """The id of the only message that a recipient gets for an event."""
    return f"{event_id}:{recipient}"


def mask_phone(phone: str | None) -> str:
    """13812345678 -> 138****5678."""
    return f"{phone[:3]}****{phone[-4:]}" if phone and len(phone) >= 9 else "****"
