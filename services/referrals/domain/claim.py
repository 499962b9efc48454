"""A referral that the coordinator wrote down for who spoke by phone becomes the patient's own."""

from datetime import datetime

from shared.city.days import local_day
from shared.contracts.referrals import PatientClaimIssued, PatientClaimLapsed
from shared.model.claims import MINUTES, Claim


class PatientClaim(Claim):
    """Of one referral."""

    def issued(self, phone: str, code: str) -> PatientClaimIssued:
        """Phone and code travel sealed under her key."""
        return PatientClaimIssued(
            division=self.division,
            claim_id=self.id,
            referral_id=self.record_id,
            patient=self.person,
            valid_minutes=MINUTES,
            phone=phone,
            code=code,
        )

    def lapsed(self, at: datetime) -> PatientClaimLapsed:
        """The coordinator may start another."""
        return PatientClaimLapsed(
            division=self.division,
            claim_id=self.id,
            referral_id=self.record_id,
            patient=self.person,
            day=local_day(at),
        )
