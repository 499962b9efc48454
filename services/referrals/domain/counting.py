"""What a referral counts as on the board: where it stands, how long she waited, what became of offers."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.city.days import local_day
from shared.model.tallies import COUNTY, Tally

from .states import ReferralState

if TYPE_CHECKING:
    from .referral import Referral

LONGEST_WAIT = 365
"""Days of waiting that are told apart; whoever waited longer counts as this."""


def counts_of(referral: "Referral") -> Counter[str]:
    """`in_<state>`; `waited_<days>` once she had a place; how many beds were offered, and lapsed."""
    moves = Counter(step.move for step in referral.history)
    counts = Counter({f"in_{referral.state}": 1, "offered": moves["offer_bed"], "lapsed": moves["lapse"]})
    if referral.placed_at:
        days = (local_day(referral.placed_at) - local_day(referral.requested_at)).days
        counts[f"waited_{min(days, LONGEST_WAIT)}"] = 1
    return counts


TALLIES: Sequence[Tally] = (
    Tally(
        counts_of,
        by={COUNTY: "division", "department": "department"},
        every=(
            *(f"in_{state}" for state in ReferralState),
            *(f"waited_{days}" for days in range(LONGEST_WAIT + 1)),
            *("offered", "lapsed"),
        ),
    ),
)
