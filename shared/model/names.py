"""Names of people: how they are kept, matched and masked."""

import re
import unicodedata
from pathlib import Path
from typing import Annotated

from pydantic_core import PydanticCustomError

from shared.model.text import Rule, blank, cleaned, folded

MOST = 40
_DOT = "·"
"""The dot between the parts of a name (间隔号, U+00B7)."""
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_dots = re.compile(r"\s*[·•・･‧⋅∙․.．﹒⸱⸰⸳ꞏ᛫⦁。｡][·•・･‧⋅∙․.．﹒⸱⸰⸳ꞏ᛫⦁。｡\s]*")
"""What is typed for that dot: keyboards have many."""
_control = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _dotted(text: str) -> str:
    """With `·` for its look-alikes and one blank between words."""
    return " ".join(_dots.sub(_DOT, text).strip(f"{_DOT} ").split())


def kept_name(text: str) -> str:
    """A name as it is kept: letters of any script with their marks, `·` and blanks between them.

    Raises PydanticCustomError for everything else: control characters, digits, signs, markup, formulas.
    """
    if _HAN.fullmatch(text) and len(text) <= MOST:
        return text
    if _control.search(text):
        raise _no_name()
    if not (name := _dotted(cleaned(text))):
        raise blank()
    parts = re.split(f"[{_DOT} ]", name)
    if len(name) > MOST or not all(_is_letter(part[0]) and all(map(_in_word, part)) for part in parts):
        raise _no_name()
    return name


def _no_name() -> PydanticCustomError:
    message = "姓名只能有文字、间隔号（·）和空格，至多40字 / letters, · and blanks between them, 40 at most"
    return PydanticCustomError("name", message)


def _is_letter(char: str) -> bool:
    """Han of planes 2 and 3 count although Python's Unicode may not know the newest of them; 〇 is a name."""
    return char.isalpha() or char == "〇" or "\U00020000" <= char <= "\U0003fffd"


def _in_word(char: str) -> bool:
    return _is_letter(char) or unicodedata.category(char)[0] == "M"


Name = Annotated[str, Rule("name", kept_name, 2 * MOST, (("minLength", 1), ("maxLength", MOST)))]


def normal_name(text: str) -> str:
    """What a name is matched by: without blanks, width, case and dot variants."""
    return folded("".join(_dotted(folded(text)).split()))


# ── masking ──────────────────────────────────────────────────────────────────────────────────────────

_COMPOUND = frozenset(
    Path(__file__).with_name("data").joinpath("compound_surnames.txt").read_text(encoding="utf-8").split()
)
"""复姓, in both scripts."""


def mask_name(name: str | None) -> str:
    """王小明 -> 王**, 欧阳小明 -> 欧阳**, John Smith -> J**: what public lists may show.

    A name of two characters that looks like a compound surname is a surname of one and a given name. What was
    stored before names were checked is freed of what cannot be seen.
    """
    if not name:
        return "（已删除）"
    shown = cleaned(name)
    length = 2 if len(shown) > 2 and shown[:2] in _COMPOUND else 1
    while length < len(shown) and unicodedata.category(shown[length])[0] == "M":
        length += 1
    return shown[:length] + "**"
