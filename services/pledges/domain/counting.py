"""What a pledge counts as: for the board on the day it was signed and the day it ended, and for its chain."""

from collections.abc import Sequence
from typing import Any

from shared.model.tallies import COUNTY, DAY, Tally

from .states import COUNTED, PledgeState

IN_CHAIN: dict[str, Any] = {"serial": {"$gt": 0}}
"""Every pledge that ever had its place in a chain, as a query."""
OF_CHAIN = {"chain": "chain_id"}


def _ended(state: PledgeState) -> Tally:
    by = {COUNTY: "division", DAY: "ended_day"}
    return Tally({state.value: 1}, by, IN_CHAIN | {"state": state})


TALLIES: Sequence[Tally] = (
    Tally({"signed": 1, "members": "members"}, {COUNTY: "division", DAY: "signed_day"}, IN_CHAIN),
    _ended(PledgeState.WITHDRAWN),
    _ended(PledgeState.INVALIDATED),
    Tally({"signed": 1}, OF_CHAIN, IN_CHAIN),
    Tally({"counted": 1}, OF_CHAIN, IN_CHAIN | {"state": COUNTED}),
)
