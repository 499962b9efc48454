"""Domain events: what happened, in the past tense, frozen, each declared once.

On the wire an event is a CloudEvent 1.0: the envelope carries the attributes, the model is the data.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

from shared.model.known import keyed_fields
from shared.model.personal import PersonId, personal_fields

TYPE_PREFIX = "cn.quzhou.women."
PARTITIONS = 12
"""Partitions of a service's log. Fixed: a key must never move to another partition."""


class Envelope(NamedTuple):
    """An event as it is stored and sent: CloudEvents attributes and the data as JSON text."""

    id: str
    type: str
    subject: str
    """The aggregate's id: also the key on Kafka."""
    sequence: int
    """The aggregate's version that the event belongs to."""
    time: datetime
    data: str
    division: str | None
    traceparent: str | None
    cause: str | None
    """The id of the event whose handling led to this one; None when a request did."""
    source: str
    """The publishing service."""
    position: int = 0
    """The event's number in the service's archive: 1, 2, 3, … without a gap."""
    partition: int = 0


@dataclass(frozen=True, slots=True)
class Undecodable:
    """What a consumer gets for an event whose data does not fit its model: it is parked."""

    envelope: Envelope
    reason: str


class Event(BaseModel):
    """Base of every event: `class PledgeSigned(Event, name="pledge.signed", version=1)`.

    `division` (a code, or None) is the place the event belongs to, and becomes a CloudEvents extension.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_name: ClassVar[str]
    event_version: ClassVar[int]
    type: ClassVar[str]
    source: ClassVar[str]
    """The service that publishes it: the name of its module under `shared.contracts`."""
    person_field: ClassVar[str | None] = None
    registry: ClassVar[dict[str, "EventClass"]] = {}

    division: str | None = None
    sealed: str | None = None
    """The personal fields in a box (base64), where the event carries any."""

    # A slot and not a private attribute: pydantic finds those in Python, and this one is hot.
    __slots__ = ("_delivered",)
    if TYPE_CHECKING:
        _delivered: Envelope

    def __init_subclass__(cls, *, name: str = "", version: int = 1, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.event_name, cls.event_version = name, version
        cls.source = cls.__module__.rpartition(".")[2]
        cls.type = f"{TYPE_PREFIX}{name}.v{version}"

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        known = cls.registry.setdefault(cls.type, cls)
        if known.__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.type} is declared twice: {known.__qualname__}, {cls.__qualname__}")
        if personal_fields(cls) and not cls.person_field:
            raise TypeError(f"{cls.__name__} has personal fields but no person_field")

    @classmethod
    def of(cls, document: BaseModel, **more: Any) -> Self:
        """The event about a document: its like-named fields come along, and its id as `<class>_id`; `more` is
        what the rule knows beside them. Raises TypeError, as when the document's class was made.
        """
        taken = taken_from(type(document), cls, frozenset(more))
        return cls(**{name: getattr(document, attribute) for name, attribute in taken}, **more)

    @property
    def envelope(self) -> Envelope:
        """The attributes it was delivered with. Raises RuntimeError before delivery."""
        try:
            return self._delivered
        except AttributeError:
            raise RuntimeError("the event was not delivered, it has no envelope") from None

    @property
    def person_id(self) -> PersonId | None:
        """Whose personal data the box holds."""
        return getattr(self, self.person_field) if self.person_field else None


EventClass: TypeAlias = type[Event]
_capital = re.compile(r"(?<!^)(?=[A-Z])")


@cache
def taken_from(
    document: type[BaseModel], event: EventClass, given: frozenset[str]
) -> Sequence[tuple[str, str]]:
    """What an event takes from a document of a class: its own field, and the attribute that it is there.

    Raises TypeError for a field that neither the document has nor is `given`, for what is no field, and for
    what is personal, or a keyed hash, in the document and would travel in clear.
    """
    own_id = _capital.sub("_", document.__name__).lower() + "_id"
    fields = event.model_fields.keys() - {"sealed"}
    there = {name: name for name in fields if name in document.model_fields or hasattr(document, name)}
    if own_id in fields:
        there[own_id] = "id"
    needed = {name for name in fields if event.model_fields[name].is_required()}
    in_clear = (personal_fields(document) - personal_fields(event)) | keyed_fields(document)
    if told := (there.keys() & in_clear) - given:
        raise TypeError(f"{event.__name__} of {document.__name__}: {', '.join(sorted(told))} in clear")
    if wrong := (needed - there.keys() - given) | (given - fields):
        raise TypeError(f"{event.__name__} of {document.__name__}: {', '.join(sorted(wrong))}")
    return [(name, attribute) for name, attribute in there.items() if name not in given]


def decode(envelope: Envelope) -> Event | Undecodable | None:
    """The event in an envelope; None when the type is unknown here (a newer publisher)."""
    model = Event.registry.get(envelope.type)
    if model is None:
        return None
    try:
        event = model.model_validate_json(envelope.data)
    except ValueError as error:
        return Undecodable(envelope, str(error))
    object.__setattr__(event, "_delivered", envelope)
    return event
