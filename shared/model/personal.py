"""Personal data: a field is marked here and nowhere else; the store seals what is marked.

A document or event whose class has personal fields names, in `person_field`, the field that holds the
id of the person they belong to. Sealed, they are one AES-GCM box under that person's data key; once the
key is deleted from the vault they read as None everywhere.
"""

from functools import cache
from typing import Annotated, Any, TypeAlias, TypeVar

import orjson
from pydantic import BaseModel

T = TypeVar("T")


class _PersonalMark:
    """Marks a field as personal."""


PERSONAL = _PersonalMark()
Personal: TypeAlias = Annotated[T | None, PERSONAL]
"""`name: Personal[str] = None`: None when sealed or erased."""


class _KeyedMark:
    """Marks a field as a keyed hash."""


KEYED = _KeyedMark()
Keyed: TypeAlias = Annotated[T, KEYED]
"""`code_key: Keyed[str] = ""`: a keyed hash of something personal, of use to nobody but us. Those that a
person is known by need no mark: `known_by` names them."""
PersonId: TypeAlias = str
"""The id of a person is the id of their data key in the vault; it says nothing about them."""


@cache
def personal_fields(model: type[BaseModel]) -> frozenset[str]:
    """The names of the fields of `model` that are marked as personal."""
    return frozenset(name for name, field in model.model_fields.items() if PERSONAL in field.metadata)


def plaintext(model: BaseModel) -> bytes:
    """What goes into the box: the personal fields as JSON."""
    return orjson.dumps(model.model_dump(mode="json", include=set(personal_fields(type(model)))))


def with_plaintext(model: Any, opened: bytes | None) -> None:
    """Put opened personal fields back; nothing when the person was erased."""
    if opened is not None:
        for name, value in orjson.loads(opened).items():
            model.__dict__[name] = value
