"""By what a person is known. A class of documents that holds something about somebody declares it:

    known_by = (ByAccount("account_key"), ByPhone("phone_key", proven="phone_proven_at"))
    part_of = PartOf(Pledge, "pledge_id")      found with the whole, and gone with it

From that follows what she may read and what an erasure marks; a class that cannot be found or forgotten does
not load. Values are keyed hashes of `<namespace>|<account or phone>`. Data is stored under them: a namespace
never changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from shared.model.personal import KEYED, personal_fields
from shared.model.roles import Account

if TYPE_CHECKING:
    from shared.model.documents import Document

Blind = Callable[[str], str]
"""A personal value -> its keyed hash: the vault's blind index."""
ACCOUNT, PHONE = "account", "phone"
"""The namespaces that most classes use; by the first, services tell each other whose a record is."""


@dataclass(frozen=True)
class ByAccount:
    """`field` holds the keyed hash of an account's id; empty: no account finds it."""

    field: str
    namespace: str = ACCOUNT

    def key(self, blind: Blind, who: Account) -> str:
        """What the field holds in what is `who`'s."""
        return blind(f"{self.namespace}|{who.id}")

    def stands(self, document: Any, since: datetime) -> bool:
        """An account is its person's for good."""
        return True


@dataclass(frozen=True)
class ByPhone:
    """`field` holds the keyed hash of a phone, which finds only what was `proven` by a code not too long ago:
    later the number may be somebody else's. Without `proven` it is about the number, whoever has it."""

    field: str
    namespace: str = PHONE
    proven: str = ""
    """The attribute with the instant at which the code was brought; None while nobody has."""

    def key(self, blind: Blind, who: Account) -> str:
        """What the field holds in what is `who`'s; empty where no phone of theirs is verified."""
        return blind(f"{self.namespace}|{who.phone}") if who.phone else ""

    def stands(self, document: Any, since: datetime) -> bool:
        """Whether the phone, if it was proven after `since`, leads to a document."""
        if not self.proven:
            return True
        at: datetime | None = getattr(document, self.proven)
        return at is not None and at > since


class PartOf(NamedTuple):
    """`field` holds the id of a document of the class `whole`."""

    whole: "type[Document]"
    field: str


def value_of(document: Any, field: str) -> str:
    """What a document holds there: `condition.phone_key` lies in a part of it."""
    return attrgetter(field)(document) or ""


@cache
def keyed_fields(model: type[BaseModel]) -> frozenset[str]:
    """The fields of a class that hold keyed hashes: shown to nobody."""
    marked = {name for name, field in model.model_fields.items() if KEYED in field.metadata}
    return frozenset(marked | {way.field for way in getattr(model, "known_by", ())})


def check_known(model: "type[Document]", *, forgets: bool) -> None:
    """Raises TypeError for a class that holds personal data, and cannot be found or cannot be forgotten."""
    name, holds = model.__name__, bool(model.person_field or personal_fields(model))
    found = model.known_by or model.part_of
    if not model.person_field and (personal_fields(model) or (model.known_by and not model.kept)):
        raise TypeError(f"{name} has personal fields but no person_field")
    if holds and not found:
        raise TypeError(f"{name} holds personal data and cannot be found: it says no known_by, no part_of")
    if (found and not (forgets or model.part_of or model.kept)) or (holds and model.kept):
        raise TypeError(f"{name} holds personal data and cannot be forgotten: it has no forget")
    if model.part_of and (model.known_by or not model.part_of.whole.known_by):
        raise TypeError(f"{name} is found by itself, or is part of what nobody finds")
    _check_names(model)


def _check_names(model: "type[Document]") -> None:
    """Raises TypeError for a field that is not there, and for a phone that would find what nobody proved."""
    phones = [way for way in model.known_by if isinstance(way, ByPhone)]
    parts = [model.part_of.field] if model.part_of else []
    named = [*parts, *model.kept, *(way.field for way in model.known_by)]
    if not model.kept and any("." in way.field for way in model.known_by):
        raise TypeError(f"{model.__name__} would show what it is known by: have it beside the parts")
    for field in (*named, *(way.proven for way in phones if way.proven)):
        if not hasattr(model, field) and field.partition(".")[0] not in model.model_fields:
            raise TypeError(f"{model.__name__} has no {field}")
    if not model.kept and not all(way.proven for way in phones):
        raise TypeError(f"{model.__name__}: a phone finds what was proven by it: ByPhone(…, proven=…)")
