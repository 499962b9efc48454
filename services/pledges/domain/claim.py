"""A place in a team, written down by an officer, becomes the member's own."""

from datetime import datetime
from typing import ClassVar

from shared.contracts.pledges import MemberClaimIssued, MemberClaimLapsed
from shared.model.claims import MINUTES, Claim
from shared.model.documents import Publishes


class MemberClaim(Claim):
    """Of one member of a team."""

    publishes: ClassVar[Publishes] = {
        MemberClaimIssued: ("claim_id", "valid_minutes", "phone", "code"),
        MemberClaimLapsed: ("claim_id",),
    }

    def issued(self, phone: str, code: str) -> MemberClaimIssued:
        """Phone and code travel sealed under the member's key."""
        return MemberClaimIssued.of(self, claim_id=self.id, valid_minutes=MINUTES, phone=phone, code=code)

    def lapsed(self, at: datetime) -> MemberClaimLapsed:
        """An officer may start another."""
        return MemberClaimLapsed.of(self, claim_id=self.id)
