"""What the referral dashboard counts: who stands in which state, offers, and days of waiting."""

from typing import Any

from services.notifier.domain.referral_board import GROUP, IN, LONGEST, TABLE, WAITED
from shared.consumers.declare import Consumer
from shared.consumers.transaction import Transaction
from shared.contracts import referrals
from shared.divisions import CITY, county_of

referral_dashboard = Consumer(GROUP, tables={TABLE: ()})


@referral_dashboard.on(*referrals.STEPS)
async def count_step(event: Any, tx: Transaction) -> None:
    """A referral left one state for another. A name that is new stands nowhere before."""
    county = county_of(event.division or CITY)
    # Replicas own different partitions: with it in the row's id they never write one row.
    row = f"{county}:{event.department}:{event.envelope.partition}"
    counts: dict[str, int] = {}
    for state, by in ((event.state, 1), (event.was, -1)):
        if state is not None:
            counts[IN + state] = counts.get(IN + state, 0) + by
    counts["offered"] = isinstance(event, referrals.ReferralBedOffered)
    counts["lapsed"] = isinstance(event, referrals.ReferralOfferLapsed)
    waited = getattr(event, "waited_days", None)
    if waited is not None:
        counts[f"{WAITED}{min(waited, LONGEST)}"] = 1
    facts = {"county": county, "department": event.department}
    tx.add(TABLE, row, facts=facts, **{name: int(by) for name, by in counts.items() if by})
