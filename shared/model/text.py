"""What people type: made clean at entry, and folded where it is matched (domain.md, "Text").

`cleaned` is how a text is kept: NFC, trimmed, without characters that cannot be seen. `folded` is how it is
matched: NFKC and casefold on top. Every text in a request is of a type that is built from these:
`Annotated[str, Line(100)]`, `Annotated[str, Lines(4000)]`, `Title`, `Phone`, `Code`, and `Name` and `Door` in
the modules beside this one.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MARKS = 8
"""So many combining marks may follow each other: no script needs more, and thousands take seconds to sort."""
MARK = "x-text"
"""In a JSON Schema: which of the rules here a text keeps. A test asks every text of every request for it."""

_UNSEEN = (
    r"\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Format characters (Cf), Unicode's Default_Ignorable_Code_Point (fillers, variation selectors, tags), the
blank braille pattern, and the noncharacters of the BMP."""
_NONCHARACTERS = "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(17))
_CONTROL = r"\x00-\x1f\x7f-\x9f"
_invisible = re.compile(f"[{_UNSEEN}{_NONCHARACTERS}{_CONTROL}]+")
_invisible_but_lines = re.compile(rf"[{_UNSEEN}{_NONCHARACTERS}\x00-\x08\x0b-\x1f\x7f-\x9f]+")
_line_end = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_plain = re.compile(r"[\x20-\x7e\u3001\u3002\u3007\u3400-\u4dbf\u4e00-\u9fff·]*")
"""What most texts are made of: seen, and the same in every normal form."""


@cache
def _piled() -> re.Pattern[str]:
    """More combining marks than a text needs; every one of them lies in these planes' beginnings."""
    marks = "".join(map(chr, filter(lambda code: unicodedata.combining(chr(code)), range(0x300, 0x1F000))))
    return re.compile(f"([{marks}]{{{MARKS}}})[{marks}]+")


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", _piled().sub(r"\1", text)).strip()


def cleaned(text: str) -> str:
    """A text of one line as it is kept; line ends and tabs are blanks. Empty where nothing can be seen."""
    if _plain.fullmatch(text):
        return text.strip()
    return _composed(_invisible.sub("", _line_end.sub(" ", text).replace("\t", " ")))


def cleaned_lines(text: str) -> str:
    """A text of several lines as it is kept: lines end with \\n, tabs stay."""
    return _composed(_invisible_but_lines.sub("", _line_end.sub("\n", text)))


def folded(text: str) -> str:
    """What a text is matched by: compatibility forms and case taken away, until there are no more of them."""
    if _plain.fullmatch(text):
        return text.strip().casefold()
    text = cleaned(text)
    while (plainer := cleaned(unicodedata.normalize("NFKC", text).casefold())) != text:
        text = plainer
    return text


def ascii_digits(text: str) -> str:
    """Decimal digits of every script (Arabic-Indic, full width, …) as 0 to 9; all else as it is."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(char, char)) for char in text)


# ── field types ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Rule:
    """A text that `write` writes in the one way it is kept, or raises PydanticCustomError (which never
    repeats it). `most`: the characters that may be typed, before anything is done with them.

    `Annotated[str, Rule(...)]`.
    """

    kind: str
    write: Callable[[str], str]
    most: int
    schema: tuple[tuple[str, Any], ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        typed = core_schema.str_schema(max_length=self.most)
        return core_schema.no_info_after_validator_function(self.write, typed)

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", MARK: self.kind} | dict(self.schema)


def Line(most: int, least: int = 1) -> Rule:
    """A free text of one line, `least` to `most` characters as it is kept: `Annotated[str, Line(100)]`."""
    return _free("line", cleaned, most, least)


def Lines(most: int, least: int = 1) -> Rule:
    """A free text of several lines: `Annotated[str, Lines(4000)]`."""
    return _free("lines", cleaned_lines, most, least)


def _free(kind: str, clean: Callable[[str], str], most: int, least: int) -> Rule:
    def write(text: str) -> str:
        if not (text := clean(text)):
            raise blank()
        if not least <= len(text) <= most:
            message = "长度须为 {least} 至 {most} 字 / must have {least} to {most} characters"
            raise PydanticCustomError("text_length", message, {"least": least, "most": most})
        return text

    return Rule(kind, write, 2 * most, (("minLength", least), ("maxLength", most)))


def blank() -> PydanticCustomError:
    """Nothing is left of a text."""
    return PydanticCustomError("blank", "不能为空 / must not be blank")


Title = Annotated[str, Line(100)]
"""What something is called, in one line."""

_MOBILE = re.compile(r"(?:(?:\+|00)?86)?(1[3-9]\d{9})")
_BETWEEN_DIGITS = re.compile(r"[\s\-()./·‐-―−]")


def normal_phone(text: str) -> str:
    """A mainland mobile number as 11 digits, however it is typed: the one way a phone is kept, matched and
    sent to. Raises PydanticCustomError (which never repeats it)."""
    found = _MOBILE.fullmatch(_BETWEEN_DIGITS.sub("", ascii_digits(folded(text))))
    if found is None:
        raise PydanticCustomError("phone", "须为11位手机号码 / must be a mainland mobile number")
    return found[1]


def phone_or_none(text: object) -> str | None:
    """The same; None for what is no such number."""
    try:
        return normal_phone(text) if isinstance(text, str) else None
    except PydanticCustomError:
        return None


Phone = Annotated[str, Rule("phone", normal_phone, 64, (("pattern", r"^1[3-9]\d{9}$"),))]
"""A mainland mobile number, in the 11 digits that `normal_phone` makes of it."""


def _code(text: str) -> str:
    digits = "".join(ascii_digits(folded(text)).split())
    if not (len(digits) == 6 and digits.isdecimal() and digits.isascii()):
        raise PydanticCustomError("code", "须为6位数字 / must be six digits")
    return digits


Code = Annotated[str, Rule("code", _code, 64, (("pattern", r"^\d{6}$"),))]
"""A one-time code: six digits, in whatever width and with whatever blanks around them."""
