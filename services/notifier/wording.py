"""What a message is made of, and whose inbox it goes to."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from string import Formatter
from typing import Any, Literal, NamedTuple

from shared.divisions import CITY, county_of
from shared.events import Event

Language = Literal["zh", "en"]
Audience = Callable[[Event], str]
"""Names the inbox that an event belongs to."""


def signer(event: Event) -> str:
    """The person who signed."""
    person: str = event.signer  # type: ignore[attr-defined]  # the table uses it where the field exists
    return person


def county_officers(event: Event) -> str:
    """The county's officers; the city's for an event without a place."""
    return f"org:{county_of(event.division or CITY)}"


def city_officers(_: Event) -> str:
    """The city's officers."""
    return f"org:{CITY}"


def patient(event: Event) -> str:
    """The patient whom a referral is about."""
    person: str = event.patient  # type: ignore[attr-defined]  # the table uses it where the field exists
    return person


def coordinators(_: Event) -> str:
    """The coordinators of the green channel, all of them."""
    return "desk:coordinator"


def department(event: Event) -> str:
    """The hospital department that a referral leads to."""
    name: str = event.department  # type: ignore[attr-defined]  # the table uses it where the field exists
    return f"desk:{name}"


def data_officers(_: Event) -> str:
    """The officers who answer for personal data."""
    return "desk:data-officer"


class Text(NamedTuple):
    """A title and a body in one language."""

    title: str
    body: str


class Template(NamedTuple):
    """One message, in both languages, to the inboxes its audience names."""

    to: Sequence[Audience]
    zh: Text
    en: Text

    def text(self, language: Language, facts: Mapping[str, Any]) -> Text:
        """The message with its facts filled in."""
        title, body = self.zh if language == "zh" else self.en
        return Text(title.format_map(facts), body.format_map(facts))

    @property
    def names(self) -> frozenset[str]:
        """The facts it needs."""
        return _names((*self.zh, *self.en))


@cache
def _names(texts: Sequence[str]) -> frozenset[str]:
    return frozenset(name for text in texts for _, name, _, _ in Formatter().parse(text) if name)
