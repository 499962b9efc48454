"""Against fraud: lists of phones that are trusted or looked at first, and why a pledge is held."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from shared.contracts.pledges import PhoneListed
from shared.model.documents import Document, Index, Publishes
from shared.model.known import ByPhone
from shared.model.roles import Role
from shared.model.workflow import Actor

from .reasons import Why

HELD_FROM = 10
"""After so many codes to one phone on one day a reviewer looks before another form of it counts."""


class ListKind(StrEnum):
    """`allow`: no limits for who proves that the phone is theirs, or works where its household lives.
    `block`: a reviewer looks at every pledge."""

    ALLOW = "allow"
    BLOCK = "block"


class HoldReason(StrEnum):
    """Why a pledge does not count without a reviewer."""

    SUSTAINED = "sustained-limit"
    BLOCKED = "block-list"
    INVALIDATION = "invalidation"
    """It comes under the condition of a bulk invalidation that is in force."""


class ListEntry(Document):
    """A phone on a list, known by its keyed hash only, and not at all once it is taken off."""

    collection: ClassVar[str] = "list_entries"
    known_by = (ByPhone("phone_key"),)  # it is the number that is listed, whoever has it
    kept = ("kind", "reason", "at")
    publishes: ClassVar[Publishes] = {PhoneListed: ("entry_id",)}
    indexes: ClassVar[Sequence[Index]] = (
        Index("phones", [("phone_key", 1)], unique=True, tells=True),
        Index("newest", [("at", -1), ("_id", -1)]),
    )

    phone_key: str
    kind: ListKind
    reason: Why
    by: str
    role: Role | None = None
    at: datetime
    revoked_at: datetime | None = None

    def revoke(self, now: datetime) -> None:
        """Take the phone off the list, and forget it; again is no change."""
        if self.revoked_at is None:
            self.revoked_at, self.phone_key = now, f"revoked|{self.id}"
            self.record(PhoneListed.of(self, entry_id=self.id, kind=None))

    def put(self, kind: ListKind, reason: Why, by: Actor, now: datetime) -> None:
        """Put the phone on a list, or on the other one."""
        self.kind, self.reason, self.at, self.revoked_at = kind, reason, now, None
        self.by, self.role = by
        self.record(PhoneListed.of(self, entry_id=self.id))
