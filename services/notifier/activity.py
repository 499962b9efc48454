"""All that the notifier knows of one activity, said in one file: `activities/<name>.py`.

What is said to whom about which event, how its people are reached, and its board. From here follow the
consumer of messages, the texts that are held against their events when they are loaded, and the boards.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.notifier.boards.declare import Board
from services.notifier.domain.messages import Contact, contact_key
from services.notifier.wording import Audience, Template, Text
from shared.model.clock import now
from shared.model.events import Event
from shared.model.personal import PersonId

Blind = Callable[[str], str]
Words = tuple[str, str]
"""A title and a body. `{names}` are fields of the event, and `place`: where it happened, in full."""


class Say(NamedTuple):
    """What is said about an event; `name` is the event's, or `name/variant`."""

    name: str
    event: type[Event]
    template: Template


class Code(NamedTuple):
    """A one-time code that an event carries, sealed, to a person's phone."""

    say: Say
    person: str
    about: str
    """The field with the id of what it proves."""


class Reach(NamedTuple):
    """What an event tells of how a person is reached."""

    event: type[Event]
    person: str
    learn: Callable[[Contact, Any, Blind], None]
    opens: bool = False
    """Whether it must see what is sealed."""
    begins: bool = False
    """Whether it is where a person comes from; else it changes only what is known."""


def say(event: type[Event], *, to: Sequence[Audience], zh: Words, en: Words, variant: str = "") -> Say:
    """A message, in both languages, to the inboxes its audience names.

    `variant`: where the event's `kind` or `state` calls for other words. A text may use numbers, days and
    places, never a name, a phone or free text that a person typed, and nothing about anybody's health.
    """
    name = f"{event.event_name}/{variant}" if variant else event.event_name
    return Say(name, event, Template(to, Text(*zh), Text(*en)))


def code(event: type[Event], *, to: str, about: str, zh: Words, en: Words) -> Code:
    """A code message: `{code}` is filled in while it is sent, and kept nowhere. `to`: the person's field."""
    return Code(say(event, to=(), zh=zh, en=en), to, about)


# ── how people are reached ───────────────────────────────────────────────────────────────────────────


def typed(event: type[Event], person: str) -> Reach:
    """Somebody typed a phone for this person: it leads nowhere until it is proven."""

    def learn(contact: Contact, found: Any, blind: Blind) -> None:
        if found.phone is not None:  # erased
            contact.typed(contact_key(blind, found.phone), found.account)

    return Reach(event, person, learn, opens=True, begins=True)


def proven(event: type[Event], person: str) -> Reach:
    """The code that was sent to the phone was brought."""
    return Reach(event, person, lambda contact, found, _: contact.prove(found.envelope.time))


def belongs(event: type[Event], person: str) -> Reach:
    """What is sensitive is reached by an account, whose keyed hash the event may have."""

    def learn(contact: Contact, found: Any, _: Blind) -> None:
        contact.belong_to(found.account)

    return Reach(event, person, learn, opens=True, begins=True)


def forgotten(event: type[Event], person: str) -> Reach:
    """The person was erased."""
    return Reach(event, person, lambda contact, *_: contact.forget(now()))


# ── an activity ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Activity:
    """Raises TypeError for an event of the activity that nobody is told about."""

    says: Sequence[Say]
    board: Board
    codes: Sequence[Code] = ()
    reaches: Sequence[Reach] = ()
    kind: str | None = None
    """What readers may sort messages by, where the names of events would say too much about a person."""

    def __post_init__(self) -> None:
        told = {one.event for one in self.texts}
        unsaid = [
            event.__name__
            for event in Event.registry.values()
            if event.source == self.source and event not in told
        ]
        if unsaid:
            raise TypeError(f"{self.source}: nobody is told of {', '.join(sorted(unsaid))}")

    @property
    def source(self) -> str:
        """The service whose events these are."""
        return self.board.source

    @property
    def texts(self) -> list[Say]:
        """All that is said, codes included."""
        return [*self.says, *(one.say for one in self.codes)]


def person_of(event: Event, field: str) -> PersonId:
    """The person whose id an event has in this field."""
    return str(getattr(event, field))
