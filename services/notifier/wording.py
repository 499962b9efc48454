"""What a message is made of, and whose inbox it goes to."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from string import Formatter
from typing import Any, Literal, NamedTuple, get_args

from shared.city.divisions import CITY, county_of
from shared.model.events import Event
from shared.model.personal import personal_fields
from shared.model.plurals import plural

Language = Literal["zh", "en"]
PLACE = "place"
"""What every text may name beside the fields of its event: where it happened, in full."""


class Audience(NamedTuple):
    """Names the inbox that an event belongs to."""

    inbox: Callable[[Event], str]
    field: str | None = None
    """What it must know of the event."""


def person(field: str) -> Audience:
    """The own inbox of the person whose id the event has in `field`."""
    return Audience(lambda event: str(getattr(event, field)), field)


def desk_of(field: str) -> Audience:
    """The desk that the event names in `field`."""
    return Audience(lambda event: f"desk:{getattr(event, field)}", field)


COUNTY = Audience(lambda event: f"org:{county_of(event.division or CITY)}")
"""The county's officers; the city's for an event without a place."""
CITY_OFFICE = Audience(lambda _: f"org:{CITY}")
"""The city's officers."""
COORDINATORS = Audience(lambda _: "desk:coordinator")
"""The coordinators of the green channel, all of them."""
DATA_OFFICERS = Audience(lambda _: "desk:data-officer")
"""The officers who answer for personal data."""


class _Words(Formatter):
    """`{streak:day|days}` is `1 day` and `21 days`."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if "|" not in format_spec:
            return str(super().format_field(value, format_spec))
        return plural(value, *format_spec.split("|"))


_words = _Words()

CLAIM = (
    "认领码",
    "【衢州妇联】您的认领码为 {code}，{valid_minutes} 分钟内有效。请登录本人账号输入，"
    "请勿告诉任何人，包括工作人员。",
)
CLAIM_EN = (
    "Code",
    "Enter {code} in your own account within {valid_minutes:minute|minutes}. Tell nobody, nor staff.",
)
"""The words of a code by which somebody takes what staff wrote down into their own account."""


class Text(NamedTuple):
    """A title and a body in one language; what is counted in English is written with both its forms."""

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
        return Text(_words.vformat(title, (), facts), _words.vformat(body, (), facts))

    @property
    def names(self) -> frozenset[str]:
        """The facts it needs."""
        return _names((*self.zh, *self.en))


@cache
def _names(texts: Sequence[str]) -> frozenset[str]:
    return frozenset(name for text in texts for _, name, _, _ in Formatter().parse(text) if name is not None)


class UnfitTemplate(TypeError):
    """A text names what its event does not tell, or nobody would ever be told it."""


def checked(
    templates: Mapping[str, Template], filled_later: Mapping[str, frozenset[str]]
) -> dict[str, Template]:
    """The templates, each held against every version of its event. Raises UnfitTemplate with all faults.

    `filled_later`: template -> the names that are filled in while it is sent.
    """
    faults = [
        f"{name}: {fault}"
        for name, template in templates.items()
        for fault in _faults(name, template, filled_later.get(name, frozenset()))
    ]
    if faults:
        raise UnfitTemplate("; ".join(faults))
    return dict(templates)


def _faults(name: str, template: Template, later: frozenset[str]) -> list[str]:
    event_name, _, variant = name.partition("/")
    events = [event for event in Event.registry.values() if event.event_name == event_name]
    faults = [] if events else ["there is no such event"]
    for event in events:
        always = _always(event)
        for language, texts in (("zh", template.zh), ("en", template.en)):
            faults += [f"{language} names {{{fact}}}" for fact in _names(texts) - always - later - {PLACE}]
        faults += [
            f"nobody is named by {to.field}" for to in template.to if to.field and to.field not in always
        ]
        if variant and not {"kind", "state"} & event.model_fields.keys():
            faults.append("its event has no variants")
    return faults


def _always(event: type[Event]) -> frozenset[str]:
    """The fields that every event of this class shows a reader: neither personal nor perhaps missing."""
    told = (
        name for name, field in event.model_fields.items() if type(None) not in get_args(field.annotation)
    )
    return frozenset(told) - personal_fields(event)
