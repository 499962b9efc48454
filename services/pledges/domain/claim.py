"""A place in a team, written down by an officer, becomes the member's own."""

from datetime import datetime

from shared.contracts.pledges import MemberClaimIssued, MemberClaimLapsed
from shared.model.claims import MINUTES, Claim


class MemberClaim(Claim):
    """Of one member of a team."""

    def issued(self, phone: str, code: str) -> MemberClaimIssued:
        """Phone and code travel sealed under the member's key."""
        return MemberClaimIssued(
            division=self.division,
            claim_id=self.id,
            person=self.person,
            valid_minutes=MINUTES,
            phone=phone,
            code=code,
        )

    def lapsed(self, at: datetime) -> MemberClaimLapsed:
        """An officer may start another."""
        return MemberClaimLapsed(division=self.division, claim_id=self.id, person=self.person)
