"""Doors: how a household's address within its community is recognised again, however it is written."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

from pydantic_core import PydanticCustomError

from shared.city.divisions import Division, lineage
from shared.model.text import Rule, ascii_digits, blank, cleaned, folded

MOST = 60
_SEPARATORS = re.compile(r"[\s\-‐-―−~_/#,.，。、:;()|·号號幢栋棟座楼樓单單元室门門组組户戶第]+")

_between = re.compile(r"(?<![0-9])\s+|\s+(?![0-9])")
"""A blank parts two numbers, and nothing else: 荷花路 12 is 荷花路12."""

# ── numerals ─────────────────────────────────────────────────────────────────────────────────────────

_VALUES = ["〇零○◯", "一壹", "二贰貳两兩", "三叁參", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖"]
_DIGITS = {char: str(value) for value, chars in enumerate(_VALUES) for char in chars}
_TENS = {"廿": "二十", "卅": "三十", "卌": "四十", "拾": "十", "佰": "百"}
_digit = "".join(_DIGITS)
_counted = re.compile(f"(?:([{_digit}])百)?(?:[{_VALUES[0]}])?(?:([{_digit}]?)十)?([{_digit}]?)")
"""一百二十三, 二十, 十二, 一百零三: hundreds, tens, ones."""
_numeral = re.compile(f"(?<![0-9])[{_digit}十百]+(?![0-9])|[0-9{_digit}]*[{_digit}][0-9{_digit}]*")
_chinese = re.compile(f"[{_digit}十{''.join(_TENS)}]")
_o_between = re.compile(f"(?<=[0-9{_digit}])o(?=[0-9{_digit}])")
"""The letter that is typed for 〇."""


def _in_digits(found: re.Match[str]) -> str:
    """三 -> 3, 二〇一 -> 201, 十二 -> 12, 一百零三 -> 103; what is no number stays as it is."""
    text = found[0]
    if not set(text) & {"十", "百"}:
        return "".join(_DIGITS.get(char, char) for char in text)
    parts = _counted.fullmatch(text)
    if parts is None:
        return text
    hundreds, tens, ones = (part and int(_DIGITS[part]) for part in parts.groups())
    ten = 0 if tens is None else tens or 1
    return str(100 * (hundreds or 0) + 10 * ten + (ones or 0))


def _with_digits(text: str) -> str:
    """With Arabic digits for Chinese ones."""
    if not _chinese.search(text):
        return text
    for old, new in _TENS.items():
        text = text.replace(old, new)
    return _numeral.sub(_in_digits, _o_between.sub("〇", text))


# ── the division that an address repeats ─────────────────────────────────────────────────────────────

_ENDINGS = {
    "city": ("市",),
    "county": ("区", "县", "市"),
    "town": ("街道办事处", "街道办", "街道", "镇", "乡"),
    "community": (
        *("社区居民委员会", "社区居委会", "社区村委会", "社区", "居民委员会", "居委会"),
        *("村民委员会", "村委会", "经济合作社", "村"),
    ),
}
"""How the names of divisions end, and how people end them; longer ones first."""
_PROVINCE = ("浙江", ("省",))
_BLANKS = " ,，、"
_BEGINS_A_DOOR = frozenset(f"0123456789{_digit}十百廿卅卌#第- ")


def _bare(place: Division) -> str:
    """A place's name without what such names end with."""
    name = folded(place.name)
    return next((name.removesuffix(end) for end in _ENDINGS[place.level] if name.endswith(end)), "") or name


@lru_cache(maxsize=2000)
def _places(community: str) -> Sequence[tuple[str, Sequence[str]]]:
    """The places around a door, from the province inwards: the bare name, and how it may end."""
    around = [(_bare(place), _ENDINGS[place.level]) for place in reversed(lineage(community))]
    return (_PROVINCE, *around)


def _without_division(text: str, community: str) -> str:
    """An address without the names of its own division in front; as it is where nothing else is left."""
    rest, places = text, _places(community)
    for depth, (bare, endings) in enumerate(places, 1):
        within = tuple(name for name, _ in places[depth:])
        while (shorter := _shortened(rest, bare, endings, within)) != rest:
            rest = shorter  # and again: a community may be called after the street that follows
    return rest if _SEPARATORS.sub("", rest) else text


def _shortened(text: str, bare: str, endings: Sequence[str], within: tuple[str, ...]) -> str:
    """Without the name in front, if it stands there. One without its ending is a place's only where a number
    or a place within it follows (金桂3幢, not 金桂苑3幢), and where it does not begin such a place's name."""
    if not text.startswith(bare):
        return text
    after = text[len(bare) :]
    if ending := next((end for end in endings if after.startswith(end)), ""):
        return after[len(ending) :].lstrip(_BLANKS)
    named = after[:1] in _BEGINS_A_DOOR or after.startswith(within)
    of_another = text.startswith(tuple(name for name in within if len(name) > len(bare)))
    return after.lstrip(_BLANKS) if named and len(bare) > 1 and not of_another else text


# ── doors ────────────────────────────────────────────────────────────────────────────────────────────


def normal_door(text: str, community: str | None = None) -> str:
    """What a door is matched by: 3幢2单元0501室, ３-2-501 and 三栋二单元五〇一 are the same one.

    `community`: the code of the one it lies in, whose names an address may repeat in front.
    """
    text = ascii_digits(folded(text))
    if community is not None and not text[:1].isdecimal():
        text = _without_division(text, community)
    parts = _SEPARATORS.split(_between.sub("", _with_digits(text)))
    return "-".join(part.lstrip("0") or "0" for part in parts if part)


def _kept_door(text: str) -> str:
    if not (text := cleaned(text)):
        raise blank()
    if len(text) > MOST or not _SEPARATORS.sub("", folded(text)):
        raise PydanticCustomError("door", "须写明门牌，至多60字 / must name a door, 60 characters at most")
    return text


Door = Annotated[str, Rule("door", _kept_door, 2 * MOST, (("minLength", 1), ("maxLength", MOST)))]
"""A door within its community, as it is typed; `normal_door` matches it."""
