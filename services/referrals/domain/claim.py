"""A referral that the coordinator wrote down for who spoke by phone becomes the patient's own."""

from datetime import datetime
from typing import ClassVar

from shared.city.days import local_day
from shared.contracts.referrals import PatientClaimIssued, PatientClaimLapsed
from shared.model.claims import MINUTES, Claim
from shared.model.documents import Publishes


class PatientClaim(Claim):
    """Of one referral."""

    publishes: ClassVar[Publishes] = {
        PatientClaimIssued: ("claim_id", "referral_id", "patient", "valid_minutes", "phone", "code"),
        PatientClaimLapsed: ("claim_id", "referral_id", "patient", "day"),
    }

    def issued(self, phone: str, code: str) -> PatientClaimIssued:
        """Phone and code travel sealed under her key."""
        return PatientClaimIssued.of(self, valid_minutes=MINUTES, phone=phone, code=code, **self._whose)

    def lapsed(self, at: datetime) -> PatientClaimLapsed:
        """The coordinator may start another."""
        return PatientClaimLapsed.of(self, day=local_day(at), **self._whose)

    @property
    def _whose(self) -> dict[str, str]:
        return {"claim_id": self.id, "referral_id": self.record_id, "patient": self.person}
