"""Who signs and for which household: how the same phone, name and door are recognised again.

Only keyed hashes of them are kept to match by; `Blind` (the vault's blind index) makes those.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

Blind = Callable[[str], str]
"""A personal value -> its keyed HMAC."""

_SEPARATORS = re.compile(r"[\s\-_/#,.，。、号幢栋座楼单元室门组户]+")


def _plain(text: str) -> str:
    """Compatibility forms and case taken away, until there are no more of them."""
    while (plainer := unicodedata.normalize("NFKC", text).casefold()) != text:
        text = plainer
    return text


def _squeezed(text: str) -> str:
    return _plain("".join(_plain(text).split()))


def normal_name(text: str) -> str:
    """A name without blanks, width and dot variants."""
    return _squeezed(text).replace("•", "·").replace("・", "·")


def normal_door(text: str) -> str:
    """A door within its community: 3幢2单元0501室, ３-2-501 and 3 栋 2 单元 501 are the same one."""
    parts = _SEPARATORS.split(_plain(text))
    return "-".join(part.lstrip("0") or "0" for part in parts if part)


def _not_blank(text: str) -> str:
    if not _squeezed(text):
        raise PydanticCustomError("blank", "不能为空 / must not be blank")
    return text.strip()


def _a_door(text: str) -> str:
    if not normal_door(text):
        raise PydanticCustomError("door", "须写明门牌 / must name a door")
    return text.strip()


Name = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(_not_blank)]
Door = Annotated[str, StringConstraints(min_length=1, max_length=60), AfterValidator(_a_door)]


def phone_key(blind: Blind, phone: str) -> str:
    """What a (normal) phone number is matched by."""
    return blind(f"phone|{phone}")


def signing_key(blind: Blind, chosen: str) -> str:
    """What is kept of the key that came with a form."""
    return blind(f"signing-key|{chosen}")


class Keys(NamedTuple):
    """What a form is matched by: its phone, and the identities that may be counted only once."""

    phone: str
    identities: list[str]


def keys_of(blind: Blind, community: str, door: str | None, phone: str, name: str) -> Keys:
    """The keys of a form.

    The household is its door within the community; without a door it is the signer's phone and name.
    The signer (phone and name) is an identity too, so two signers may share a phone and nobody signs for
    two doors.
    """
    identities = [blind(f"signer|{phone}|{normal_name(name)}")]
    if door:
        identities.append(blind(f"household|{community}|{normal_door(door)}"))
    return Keys(phone_key(blind, phone), identities)
