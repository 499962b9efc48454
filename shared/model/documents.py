"""Documents: the state of an aggregate, with the events it has recorded and not yet committed."""

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from shared.city.divisions import CITY, division_range
from shared.model.events import Event, EventClass, taken_from
from shared.model.ids import new_id
from shared.model.known import Blind, ByAccount, ByPhone, PartOf, check_known, value_of
from shared.model.personal import PersonId, personal_fields
from shared.model.problems import Full
from shared.model.roles import SCOPES, Account, Caller, reaches, reaches_department
from shared.model.tallies import Tally

Day = Annotated[date, PlainSerializer(lambda day: day.isoformat(), return_type=str)]
"""A day in Asia/Shanghai, stored as YYYY-MM-DD."""


RESERVED = frozenset({"outbox", "answers", "answers_moved"})
"""What the store itself keeps in a document, beside the fields of its class."""


@dataclass(frozen=True)
class Most:
    """How many entries a list of a document may have: `days: Annotated[list[Day], Most(14)]`.

    Each list states it, or its class cannot be made: what grows with every request and has no bound ends
    at MongoDB's 16 MB, and then the document can never be changed again.
    """

    entries: int


Publishes = Mapping[EventClass, Sequence[str]]
"""Events, each with the fields that a rule fills in."""


class Index(NamedTuple):
    """An index of a collection. `where` makes it partial."""

    name: str
    keys: Sequence[tuple[str, int]]
    unique: bool = False
    where: dict[str, Any] | None = None
    expire_after: int | None = None
    """Seconds after the (single) key's instant at which MongoDB deletes the document."""
    tells: bool = False
    """Of a unique one: who is refused because of it may know the id of the document that is there."""


class Document(BaseModel):
    """Base of every aggregate. Stored whole in `collection`; never deleted, only marked.

    `version` counts commits: 0 was never stored. Rules are methods that change fields and `record`
    events; the store commits both in one write.
    """

    model_config = ConfigDict(extra="ignore")

    collection: ClassVar[str]
    bounds: ClassVar[Sequence[tuple[str, int]]] = ()
    """The fields that hold many entries, and how many each may have at most."""
    indexes: ClassVar[Sequence[Index]] = ()
    former_indexes: ClassVar[Sequence[str]] = ()
    """Names of indexes that earlier versions made, and whose rule holds no more."""
    tallies: ClassVar[Sequence[Tally]] = ()
    """What the audit counts in them."""
    person_field: ClassVar[str | None] = None
    """The field with the id of the person whose data it holds."""
    known_by: ClassVar[Sequence[ByAccount | ByPhone]] = ()
    """By what that person finds it; then it says in `forget` how they are forgotten."""
    part_of: ClassVar[PartOf | None] = None
    """Of what it is found with, and ends with."""
    kept: ClassVar[Collection[str]] = ()
    """Where it protects others: the fields that are shown to whom it is about. An erasure leaves it."""
    publishes: ClassVar[Publishes] = {}
    """The events that it records, each with the fields that the rule fills in: all others are the document's
    own, by the same names (see `Event.of`)."""
    division_field: ClassVar[str] = "division"
    """Where it says which division it belongs to; perhaps in a part: `condition.division`."""
    public: ClassVar[bool] = False
    """Whether anybody may know that there is one: who may do nothing with it is told so."""

    id: str = Field(default_factory=new_id)
    version: int = 0

    # Slots and not private attributes: pydantic finds those in Python, and these are hot.
    __slots__ = ("_events", "_opened", "_stored")
    if TYPE_CHECKING:
        _events: list[Event]
        _opened: bool
        _stored: dict[str, Any]

    def model_post_init(self, _: Any) -> None:
        """Begin with nothing recorded and nothing stored."""
        object.__setattr__(self, "_events", [])
        object.__setattr__(self, "_stored", {})
        object.__setattr__(self, "_opened", False)

    def clone(self) -> Self:
        """A copy that can be changed without changing this one; the events recorded so far come along."""
        copy = self.model_copy(deep=True)
        copy._events, copy._stored, copy._opened = list(self._events), self._stored, self._opened
        return copy

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        check_known(cls, forgets=cls.forget is not Document.forget)
        if taken := RESERVED & cls.model_fields.keys():
            raise TypeError(f"{cls.__name__}: {sorted(taken)} are the store's own")
        for tally in cls.tallies:
            if missing := tally.fields - cls.model_fields.keys():
                raise TypeError(f"{cls.__name__}: tallied, and no field: {', '.join(sorted(missing))}")
        cls.bounds = _bounds(cls)
        cls.indexes = (*cls.indexes, *_found_by(cls))
        for event, given in cls.publishes.items():
            taken_from(cls, event, frozenset(given))

    def record(self, event: Event) -> None:
        """Remember an event to commit together with the state. Raises TypeError for one that its class does
        not publish."""
        if type(event) not in self.publishes:
            raise TypeError(f"{type(self).__name__} does not publish {type(event).__name__}")
        self._events.append(event)

    @property
    def recorded(self) -> Sequence[Event]:
        """The events recorded since the last commit."""
        return self._events

    @property
    def person_id(self) -> PersonId | None:
        """Whose personal data this document holds."""
        return getattr(self, self.person_field) if self.person_field else None

    def reached_by(self, blind: Blind, who: Account, since: datetime) -> bool:
        """Whether it is `who`'s: by the account, or by a phone that was proven after `since`."""
        return any(
            hmac.compare_digest(value_of(self, way.field), key) and way.stands(self, since)
            for way in self.known_by
            if (key := way.key(blind, who))
        )

    def forget(self, now: datetime) -> None:
        """The person was erased: leave nothing that they are known by, and say so by an event. It may be
        asked for again."""
        raise NotImplementedError

    @property
    def place(self) -> str:
        """The division that it belongs to: the city, where it says none."""
        there = self.division_field.partition(".")[0] in type(self).model_fields
        return (value_of(self, self.division_field) if there else "") or CITY

    def concerns(self, caller: Caller) -> bool:
        """Whether staff, in the role that they act in, have to do with it: it lies with their department, or,
        where it is no department's, in their division. `concerning` says the same of all."""
        department = getattr(self, "department", None)
        return reaches_department(caller, department) if department else reaches(caller, self.place)

    @classmethod
    def concerning(cls, caller: Caller) -> dict[str, Any] | None:
        """What of the class staff have to do with, as a query; None: nothing of it."""
        if "department" in cls.model_fields:
            own = {"own": {"department": caller.department}, "all": {}}
            return own.get(SCOPES[caller.role].departments)
        if caller.division is None or caller.division == CITY:
            return {} if caller.division else None
        if cls.division_field.partition(".")[0] not in cls.model_fields:
            return None
        return {cls.division_field: division_range(caller.division)}

    @property
    def etag(self) -> str:
        """The version as HTTP's entity tag."""
        return f'"{self.version}"'

    @classmethod
    def of_stored(cls, stored: dict[str, Any]) -> Self:
        """The document as it was read from its collection."""
        document = cls.model_validate({"id": stored["_id"], **stored})
        document._stored = stored
        return document

    def check_bounds(self) -> None:
        """Raises Full when a list grew above its bound; one that is longer already may stay as it is."""
        for name, most in self.bounds:
            entries = getattr(self, name)
            if (
                entries is not None
                and len(entries) > most
                and len(entries) > len(self._stored.get(name) or ())
            ):
                raise Full(what=name, most=most)

    def clear_fields(self) -> dict[str, Any]:
        """The fields to store in clear: all but the id and what is personal."""
        return self.model_dump(exclude={"id", *personal_fields(type(self))})


def _found_by(model: type[Document]) -> Sequence[Index]:
    """What a person's documents, and the parts of one, are found by, where no index begins so."""
    ways = [way.field for way in model.known_by] + ([model.part_of.field] if model.part_of else [])
    begun = [(index.keys[0][0], index.where or {}) for index in model.indexes]
    there = {field for field, where in begun if set(where) <= {field}}
    return [
        Index(f"known_by_{field.replace('.', '_')}", [(field, 1)], where={field: {"$gt": ""}})
        for field in ways
        if field not in there
    ]


def _bounds(model: type[BaseModel]) -> Sequence[tuple[str, int]]:
    """What each field with many entries is bounded to. Raises TypeError for one that is not."""
    found = []
    for name, field in model.model_fields.items():
        if not _holds_many(field.annotation):
            continue
        most = next((mark.entries for mark in field.metadata if isinstance(mark, Most)), None)
        if most is None:
            raise TypeError(f"{model.__name__}.{name} has no bound: Annotated[…, Most(…)]")
        found.append((name, most))
    return tuple(found)


def _holds_many(kind: Any) -> bool:
    """Whether values of a type have any number of entries. Raises TypeError where a bound of them would be
    looked for in vain: inside of another list, or of a part of the document."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_holds_many(one) for one in inner)
    if origin is Annotated:
        return _holds_many(inner[0])
    held = origin or kind
    if not isinstance(held, type) or issubclass(held, str | bytes):
        return False
    part = issubclass(held, BaseModel)
    deeper = (
        [field.annotation for field in held.model_fields.values()] if issubclass(held, BaseModel) else inner
    )
    if any(_holds_many(one) for one in deeper):
        raise TypeError(f"{kind}: a list inside of a part cannot be bounded, have it in the document itself")
    named = hasattr(held, "_fields") or (held is tuple and inner and Ellipsis not in inner)
    return issubclass(held, Collection) and not part and not named
