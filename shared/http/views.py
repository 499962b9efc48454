"""What requests and answers are made of in every service."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Strict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

GivenId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,199}$")]
"""The id of something, as a caller gives it: looked up, and nothing else."""
Cursor = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,400}$")]
"""Where to go on reading: a text that we gave out."""
D = TypeVar("D", bound=date)
_day = re.compile(r"\d{4}-\d\d-\d\d")


class DocumentView(BaseModel):
    """Base of an answer that shows one document. Its route answers with the version as `ETag`."""

    id: str
    version: int

    @classmethod
    def of(cls, document: Any, **more: Any) -> Self:
        """What a document shows: its fields and properties of the same names, and `more`."""
        own = {name: getattr(document, name) for name in cls.model_fields if name not in more}
        return cls(**own, **more)

    @property
    def etag(self) -> str:
        """The version as HTTP's entity tag."""
        return f'"{self.version}"'


class StateView(DocumentView):
    """Of a document that a workflow moves. `queue`: whose turn it is; `legal`: the moves possible now.

    A class says of which states `state` is.
    """

    state: Any
    queue: str | None
    legal: list[str]


def _of_our_time(when: D) -> D:
    """Python's first and last years overflow on their way from one time zone to another."""
    if not 2000 <= when.year <= 2999:
        raise PydanticCustomError("year", "年份须在2000至2999之间 / must be of the years 2000 to 2999")
    return when


def _stored_precision(instant: datetime) -> datetime:
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _written(given: Any) -> Any:
    """Pydantic takes numbers, and texts of digits, for the seconds since 1970; to us they are no dates."""
    if isinstance(given, date) or (isinstance(given, str) and _day.match(given)):
        return given
    raise PydanticCustomError("date", "须形如 2020-03-08 / must begin with a date like 2020-03-08")


_Written = (Strict(False), BeforeValidator(_written))
"""Not strict, for then pydantic reads no text that a validator has looked at; `_written` is."""
Instant = Annotated[AwareDatetime, *_Written, AfterValidator(_of_our_time), AfterValidator(_stored_precision)]
"""An instant as a caller gives it: with an offset; kept in UTC and milliseconds."""
GivenDay = Annotated[date, *_Written, AfterValidator(_of_our_time)]
"""A day (Asia/Shanghai) as a caller gives it."""


def _consented(given: bool) -> bool:
    if not given:
        raise PydanticCustomError("consent", "须同意 / consent is needed")
    return given


Consent = Annotated[bool, AfterValidator(_consented), WithJsonSchema({"type": "boolean", "const": True})]
"""A consent that is asked for by itself, and without which nothing is done."""
