"""What requests and answers are made of in every service."""

import re
import unicodedata
from datetime import UTC, date, datetime
from typing import Annotated, TypeVar

from fastapi import Response
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

D = TypeVar("D", bound=date)
_MOBILE = re.compile(r"1[3-9]\d{9}")


class Body(BaseModel):
    """Base of every request body: a field we do not know is an error."""

    model_config = ConfigDict(extra="forbid")


class DocumentView(BaseModel):
    """Base of an answer that shows one document."""

    id: str
    version: int


V = TypeVar("V", bound=DocumentView)


def tagged(response: Response, view: V) -> V:
    """Tell the caller the version, for a later `If-Match`."""
    response.headers["ETag"] = f'"{view.version}"'
    return view


def _of_our_time(when: D) -> D:
    """Python's first and last years overflow on their way from one time zone to another."""
    if not 2000 <= when.year <= 2999:
        raise PydanticCustomError("year", "年份须在2000至2999之间 / must be of the years 2000 to 2999")
    return when


def _stored_precision(instant: datetime) -> datetime:
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


Instant = Annotated[AwareDatetime, AfterValidator(_of_our_time), AfterValidator(_stored_precision)]
"""An instant as a caller gives it: with an offset; kept in UTC and milliseconds."""
GivenDay = Annotated[date, AfterValidator(_of_our_time)]
"""A day (Asia/Shanghai) as a caller gives it."""


def normal_phone(text: str) -> str:
    """A mainland mobile number as 11 digits. Raises PydanticCustomError (which never repeats it)."""
    digits = re.sub(r"[\s\-()]", "", unicodedata.normalize("NFKC", text))
    digits = digits.removeprefix("+86").removeprefix("0086")
    if not _MOBILE.fullmatch(digits):
        raise PydanticCustomError("phone", "须为11位手机号码 / must be a mainland mobile number")
    return digits


Phone = Annotated[
    str,
    StringConstraints(max_length=32),
    AfterValidator(normal_phone),
    WithJsonSchema({"type": "string", "pattern": r"^1[3-9]\d{9}$"}),
]
