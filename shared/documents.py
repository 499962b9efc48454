"""Documents: the state of an aggregate, with the events it has recorded and not yet committed."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from shared.events import Event
from shared.ids import new_id
from shared.personal import PersonId, personal_fields

Day = Annotated[date, PlainSerializer(lambda day: day.isoformat(), return_type=str)]
"""A day in Asia/Shanghai, stored as YYYY-MM-DD."""


class Index(NamedTuple):
    """An index of a collection. `where` makes it partial."""

    name: str
    keys: Sequence[tuple[str, int]]
    unique: bool = False
    where: dict[str, Any] | None = None
    expire_after: int | None = None
    """Seconds after the (single) key's instant at which MongoDB deletes the document."""


class Document(BaseModel):
    """Base of every aggregate. Stored whole in `collection`; never deleted, only marked.

    `version` counts commits: 0 was never stored. Rules are methods that change fields and `record`
    events; the store commits both in one write.
    """

    model_config = ConfigDict(extra="ignore")

    collection: ClassVar[str]
    indexes: ClassVar[Sequence[Index]] = ()
    person_field: ClassVar[str | None] = None

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
        if personal_fields(cls) and not cls.person_field:
            raise TypeError(f"{cls.__name__} has personal fields but no person_field")

    def record(self, event: Event) -> None:
        """Remember an event to commit together with the state."""
        self._events.append(event)

    @property
    def recorded(self) -> Sequence[Event]:
        """The events recorded since the last commit."""
        return self._events

    @property
    def person_id(self) -> PersonId | None:
        """Whose personal data this document holds."""
        return getattr(self, self.person_field) if self.person_field else None

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

    def clear_fields(self) -> dict[str, Any]:
        """The fields to store in clear: all but the id and what is personal."""
        return self.model_dump(exclude={"id", *personal_fields(type(self))})
