"""Against fraud: limits per phone, and lists of phones that are trusted or looked at first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, NamedTuple

from shared.contracts.pledges import PhoneListed
from shared.days import local_day
from shared.documents import Document, Index
from shared.problems import TooManyRequests
from shared.roles import Role
from shared.workflow import Actor

from .limits import Limit
from .reasons import Why

BURST = Limit(5, timedelta(minutes=10))
"""Forms per phone: a family at one table, not a script."""
SUSTAINED = Limit(20, timedelta(days=1))
HELD_FROM = 10
"""From so many forms of one phone on one day on, a reviewer looks before one counts."""


class ListKind(StrEnum):
    """`allow`: no limits (a community worker's phone). `block`: a reviewer looks at every pledge."""

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
    indexes: ClassVar[Sequence[Index]] = (Index("phones", [("phone_key", 1)], unique=True, tells=True),)

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
            self.record(PhoneListed(entry_id=self.id))

    def put(self, kind: ListKind, reason: Why, by: Actor, now: datetime) -> None:
        """Put the phone on a list, or on the other one."""
        self.kind, self.reason, self.at, self.revoked_at = kind, reason, now, None
        self.by, self.role = by
        self.record(PhoneListed(entry_id=self.id, kind=kind))


class Forms(NamedTuple):
    """The forms of a phone so far."""

    last: int = 0
    """The number of the last one."""
    times: Sequence[datetime] = ()
    """When they came, as far back as the limits look."""


def holds(listed: ListKind | None, earlier: Sequence[datetime], now: datetime) -> list[HoldReason]:
    """Why one more form of a phone must be held. `earlier`: when its forms came. Raises TooManyRequests."""
    if listed is ListKind.ALLOW:
        return []
    if wait := max(BURST.wait(earlier, now), SUSTAINED.wait(earlier, now)):
        raise TooManyRequests(wait, "该手机号提交过于频繁 / Too many forms from this phone")
    today = sum(local_day(time) == local_day(now) for time in earlier)
    return [HoldReason.SUSTAINED] if today >= HELD_FROM else []
