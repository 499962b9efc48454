"""A pledge: one household, one form, one code; from pending over verified to counted."""

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from shared.city.days import local_day
from shared.contracts.pledges import (
    PledgeCodeIssued,
    PledgeContested,
    PledgeDropped,
    PledgeHeld,
    PledgeInvalidated,
    PledgeSigned,
    PledgeWithdrawn,
    SignerErased,
    SignerRole,
)
from shared.model.documents import Day, Index, Most, Publishes
from shared.model.known import ByAccount, ByPhone
from shared.model.personal import Keyed, Personal, PersonId
from shared.model.problems import Problem, TooManyRequests
from shared.model.stateful import Stateful
from shared.model.tallies import Tally
from shared.model.workflow import Actor, Workflow

from .campaign import Campaign
from .counting import TALLIES
from .identity import Keys
from .limits import CODE_MINUTES, Limit
from .reasons import Why
from .states import COUNTED, PENDING, PLEDGE, PledgeState

CODE_DIGITS = 6
WRONG_CODES = 5
"""Wrong codes after which a new one must be asked for."""
RESEND = (Limit(1, timedelta(minutes=1)), Limit(5, timedelta(days=1)))
"""How often a code is sent for one form."""
CODES_KNOWN = max(limit.most for limit in RESEND)
"""As many of the last codes as the limits look back at."""
SIGNER = Actor("signer")
"""Who acts, in the history: signers need no account, and nobody is named there."""


class CodeExpired(Problem):
    """The one-time code was valid for ten minutes: ask for another."""

    status, type, title, title_en = 422, "code-expired", "验证码已过期，请重新获取", "The code has expired"


class NotTheSigner(Problem):
    """Neither the phone that signed, nor the key that was chosen with the form."""

    status, type, title, title_en = 403, "not-the-signer", "无法确认是签署人", "Not known as the signer"


class HouseholdCounted(Problem):
    """The household is in the chain already. Who proves to be the one that signed for it is also told its
    place (`serial`) and its public page (`certificate`); nobody else learns anything about it."""

    status, type = 409, "household-counted"
    title, title_en = "本户已在接龙中", "This household is counted already"


def new_code() -> str:
    """Six random digits."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"


def code_text(pledge_id: str, code: str) -> str:
    """What is hashed to recognise the code of one form."""
    return f"code|{pledge_id}|{code}"


def chain_id_of(campaign_id: str, community: str) -> str:
    """The chain of a community in a campaign."""
    return f"{campaign_id}:{community}"


class Pledge(Stateful):
    """The one-time code is kept as a keyed hash only; name, phone and door are sealed."""

    collection: ClassVar[str] = "pledges"
    person_field: ClassVar[str | None] = "signer"
    known_by = (ByAccount("account_key"), ByPhone("phone_key", proven="phone_proven_at"))
    flow: ClassVar[Workflow] = PLEDGE
    publishes: ClassVar[Publishes] = {
        PledgeCodeIssued: ("code", "account", "valid_minutes"),
        PledgeHeld: ("reasons", "day"),
        PledgeSigned: ("day",),
        PledgeDropped: ("day",),
        PledgeContested: ("day",),
        PledgeWithdrawn: ("day",),
        PledgeInvalidated: ("reason", "day"),
        SignerErased: ("day",),
    }
    former_indexes: ClassVar[Sequence[str]] = ("forms", "reviews")
    indexes: ClassVar[Sequence[Index]] = (
        Index("numbers", [("chain_id", 1), ("serial", 1)], unique=True, where={"serial": {"$gt": 0}}),
        Index(
            "households",
            [("campaign_id", 1), ("text_version", 1), ("identities", 1)],
            unique=True,
            where={"state": "counted"},
        ),
        Index("accounts", [("account_key", 1)], where={"account_key": {"$gt": ""}}),
        Index("certificates", [("token", 1)], unique=True, where={"token": {"$gt": ""}}),
        Index("phones", [("phone_key", 1)]),
        Index("invalidations", [("invalidation", 1)], where={"invalidation": {"$gt": ""}}),
        Index("to_review", [("created_at", 1), ("_id", 1)], where={"state": "verified"}),
    )
    tallies: ClassVar[Sequence[Tally]] = TALLIES

    campaign_id: str
    text_version: int
    chain_id: str
    division: str
    """The community's 12-digit code."""
    signer: PersonId
    name: Personal[str] = None
    phone: Personal[str] = None
    door: Personal[str] = None
    phone_key: str
    signing_key: Keyed[str] = ""
    """The keyed hash of what the signer chose to be known by; empty once they were erased."""
    account_key: str = ""
    """The keyed hash of the account that handed the form in; empty where it came without one, or from staff,
    and once they were erased."""
    identities: Keyed[Annotated[list[str], Most(4)]]
    role: SignerRole
    members: int
    created_at: datetime
    """When the form was handed in and consent was given."""
    state: PledgeState = PENDING
    held: Annotated[list[str], Most(8)] = Field(default_factory=list)
    """Why a reviewer must look before it counts."""
    code_key: Keyed[str] = ""
    code_times: Annotated[list[datetime], Most(CODES_KNOWN)] = Field(default_factory=list)
    wrong_codes: int = 0
    serial: int = 0
    token: str = ""
    """Names the certificate's public page."""
    signed_day: Day | None = None
    ended_day: Day | None = None
    """The day it was withdrawn, invalidated, or lapsed."""
    contested_day: Day | None = None
    """The last day on which somebody else tried to sign for this household."""
    invalidation: str = ""
    """The bulk invalidation that struck it out."""

    # ── the form and its code ────────────────────────────────────────────────────────────────────

    @classmethod
    def signed(
        cls, campaign: Campaign, keys: Keys, *, community: str, text_version: int, now: datetime, **given: Any
    ) -> Self:
        """A form handed in while the campaign is open, by who has read the text in force. Then `send_code`.

        Raises OutsideWindow, AnotherText.
        """
        campaign.check_open(now)
        campaign.check_text(text_version)
        return cls(
            campaign_id=campaign.id,
            text_version=text_version,
            chain_id=chain_id_of(campaign.id, community),
            division=community,
            phone_key=keys.phone,
            identities=keys.identities,
            created_at=now,
            **given,
        )

    def check_code_may_be_sent(self, now: datetime) -> None:
        """Raises IllegalMove, TooManyRequests."""
        self.check("verify")
        if wait := max(limit.wait(self.code_times, now) for limit in RESEND):
            raise TooManyRequests(wait, "验证码发送过于频繁 / A code was just sent")

    def send_code(self, code: str, code_key: str, now: datetime) -> None:
        """Have a code sent; it replaces the one before. Raises IllegalMove, TooManyRequests.

        Name and phone must be open: they travel sealed in the event.
        """
        self.check_code_may_be_sent(now)
        self.code_key, self.wrong_codes = code_key, 0
        self.code_times = [*self.code_times, now][-CODES_KNOWN:]
        account = self.account_key or None
        self.record(PledgeCodeIssued.of(self, code=code, account=account, valid_minutes=CODE_MINUTES))

    @property
    def code_expires_at(self) -> datetime:
        """Until when the last code is good."""
        return self.code_times[-1] + timedelta(minutes=CODE_MINUTES)

    def accepts(self, code_key: str, now: datetime) -> bool:
        """Whether this is the code. Raises IllegalMove, TooManyRequests, CodeExpired."""
        self.check("verify")
        if self.wrong_codes >= WRONG_CODES:
            wait = max(limit.wait(self.code_times, now) for limit in RESEND)
            raise TooManyRequests(max(1, wait), "错误次数过多，请重新获取验证码 / Ask for a new code")
        if now >= self.code_expires_at:
            raise CodeExpired()
        return hmac.compare_digest(self.code_key, code_key)

    def refuse_code(self, now: datetime) -> None:
        """Remember a wrong code. Raises as `accepts` does."""
        self.accepts("", now)
        self.wrong_codes += 1

    # ── the moves ────────────────────────────────────────────────────────────────────────────────

    def hold(self, reasons: Sequence[str]) -> None:
        """A reviewer must look at it before it counts, for these reasons too."""
        self.held = list(dict.fromkeys([*self.held, *reasons]))

    def verify(self, now: datetime) -> None:
        """The signer holds the phone. A held pledge waits for the reviewer; another is counted at once."""
        self.move("verify", now, by=SIGNER)
        self.code_key = ""
        if self.held:
            self.record(PledgeHeld.of(self, reasons=self.held, day=local_day(now)))

    def count(self, serial: int, token: str, now: datetime, by: Actor | None = None) -> None:
        """Join the chain under `serial`, with the certificate `token`. Raises IllegalMove."""
        self.move("count", now, by=by)
        self.serial, self.token, self.signed_day = serial, token, local_day(now)
        self.record(PledgeSigned.of(self, day=self.signed_day))

    def withdraw(self, now: datetime, why: Why | None = None) -> None:
        """The household takes it back. Raises IllegalMove."""
        self.move("withdraw", now, by=SIGNER, why=why)
        self.ended_day = local_day(now)
        if self.serial:
            self.record(PledgeWithdrawn.of(self, day=self.ended_day))
        else:
            self._drop(now)

    def lapse(self, now: datetime) -> None:
        """Its campaign is over and no code is good any more; while one is, no change. Raises IllegalMove."""
        self.check("lapse")
        if now >= self.code_expires_at:
            self.move("lapse", now)
            self.code_key, self.ended_day = "", local_day(now)
            self._drop(now)

    def contest(self, now: datetime) -> None:
        """Somebody else tried to sign for this household: its holder is told, once a day at most."""
        if self.state is COUNTED and self.contested_day != local_day(now):
            self.contested_day = local_day(now)
            self.record(PledgeContested.of(self, day=self.contested_day))

    @property
    def phone_proven_at(self) -> datetime | None:
        """When the phone's code was brought; None while nobody has."""
        return next((step.at for step in self.history if step.move == "verify"), None)

    def is_held_by(self, signing_key: str, phone_key: str, account_key: str, since: datetime) -> bool:
        """Whether one of them proves who signed; the phone only if it was proven after `since`, or the form
        that nobody has proven yet was handed in after it.
        """
        trusted = phone_key if (self.phone_proven_at or self.created_at) > since else ""
        known = [
            (self.signing_key, signing_key),
            (self.phone_key, trusted),
            (self.account_key, account_key),
        ]
        return any(given and hmac.compare_digest(kept, given) for kept, given in known)

    def check_holder(self, signing_key: str, phone_key: str, account_key: str, since: datetime) -> None:
        """As `is_held_by`. Raises NotTheSigner."""
        if not self.is_held_by(signing_key, phone_key, account_key, since):
            raise NotTheSigner()

    def forget(self, now: datetime) -> None:
        """Forget the signer: the pledge is withdrawn, and nothing is left to match by; again is no change.

        The serial and the numbers stay.
        """
        if self.phone_key == f"erased|{self.id}":
            return
        if "withdraw" in self.legal:
            self.withdraw(now, Why.ERASURE)
        self.phone_key, self.identities = f"erased|{self.id}", []
        self.signing_key = self.account_key = ""
        self.record(SignerErased.of(self, day=local_day(now)))

    def invalidate(self, reason: Why, now: datetime, by: Actor, invalidation: str = "") -> None:
        """The federation strikes it out, alone or by a bulk `invalidation`. Raises IllegalMove."""
        self.move("invalidate", now, by=by, why=reason)
        self.ended_day, self.invalidation = local_day(now), invalidation
        if self.serial:
            self.record(PledgeInvalidated.of(self, reason=reason, day=self.ended_day))
        else:
            self._drop(now)

    def _drop(self, now: datetime) -> None:
        """It ended without ever having been in the chain."""
        self.record(PledgeDropped.of(self, day=local_day(now)))
