"""A record that staff wrote down for somebody becomes hers: a code goes to the phone that was written down,
and she brings it in her own account. From then on the account finds the record; the phone never does.

The code is long enough (50 bits) to need no name beside it: whoever brings it says nothing else, and no
stranger can use up another's tries.
"""

import secrets
from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic_core import PydanticCustomError

from shared.model.documents import Index
from shared.model.events import Event
from shared.model.personal import PersonId
from shared.model.problems import Problem
from shared.model.roles import Role
from shared.model.stateful import Stateful
from shared.model.text import ascii_digits, folded
from shared.model.workflow import Actor, Move, Queue, Workflow

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: nothing in it is taken for something else."""
LENGTH = 10
MINUTES = 30
CLAIMANT = "claimant"


class OwnClaim(Problem):
    """Who started a claim does not bring its code."""

    status, type, title, title_en = (
        403,
        "own-claim",
        "不能认领本人经办的记录",
        "You started this claim yourself",
    )


class AlreadyClaimed(Problem):
    """The record belongs to an account."""

    status, type, title, title_en = (
        409,
        "already-claimed",
        "已归入本人账号",
        "It belongs to an account already",
    )


def new_code() -> str:
    """Ten random letters, as they are matched."""
    return "".join(secrets.choice(LETTERS) for _ in range(LENGTH))


def code_key(blind: Callable[[str], str], code: str) -> str:
    """What is kept of a code. `blind`: the vault's index."""
    return blind(f"claim|{code}")


def plain_code(text: str) -> str:
    """A code as it is matched, however it was typed. Raises PydanticCustomError."""
    typed = ascii_digits(folded(text)).upper().translate(str.maketrans("OIL", "011", " -"))
    if len(typed) != LENGTH or not set(typed) <= set(LETTERS):
        raise PydanticCustomError("claim_code", "须为10位认领码 / must be a code of ten characters")
    return typed


class ClaimState(StrEnum):
    """Where a claim stands."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    LAPSED = "lapsed"


OPEN = ClaimState.OPEN
CLAIM = Workflow(
    moves={
        "confirm": Move((OPEN,), ClaimState.CONFIRMED),
        "lapse": Move((OPEN,), ClaimState.LAPSED),
    },
    queues={OPEN: Queue(CLAIMANT, Role.RESIDENT)},
    ends={OPEN: "lapse"},
)


class Claim(Stateful):
    """A code on its way. A service declares its own class, with the events that say what happens."""

    collection: ClassVar[str] = "claims"
    flow: ClassVar[Workflow] = CLAIM
    indexes: ClassVar[Sequence[Index]] = (
        Index("codes", [("code_key", 1)], unique=True, where={"code_key": {"$gt": ""}}),
        Index("records", [("record_id", 1)]),
    )

    record_id: str
    person: PersonId
    division: str
    started_by: str
    """The id of who wrote the record down, or answers for it."""
    code_key: str
    """The keyed hash of the code; empty once it is good no more."""
    state: ClaimState = OPEN
    deadline: datetime | None
    """Until when the code is good."""

    @abstractmethod
    def issued(self, phone: str, code: str) -> Event:
        """The event that carries the code, sealed, to the phone."""

    @abstractmethod
    def lapsed(self, at: datetime) -> Event:
        """The event that says that nobody brought it in time."""

    def confirm(self, at: datetime) -> None:
        """The code was brought. Raises IllegalMove."""
        self.move("confirm", at, by=Actor(CLAIMANT, Role.RESIDENT))
        self.code_key, self.deadline = "", None

    def lapse(self, at: datetime) -> None:
        """Nobody brought it in time: the rule of its deadline."""
        self.move("lapse", at)
        self.code_key, self.deadline = "", None
        self.record(self.lapsed(at))

    @classmethod
    def started(cls, blind: Callable[[str], str], phone: str, by: str, at: datetime, **about: Any) -> Self:
        """A claim whose code is to be sent. `about`: record_id, person, division."""
        code = new_code()
        until = at + timedelta(minutes=MINUTES)
        claim = cls(started_by=by, code_key=code_key(blind, code), deadline=until, **about)
        claim.record(claim.issued(phone, f"{code[:5]}-{code[5:]}"))
        return claim
