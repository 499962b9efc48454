"""The states of a pledge, and whose turn it is in each."""

from enum import StrEnum

from shared.model.roles import Role
from shared.model.workflow import LASTS, Move, Queue, Workflow


class PledgeState(StrEnum):
    """Where a pledge stands."""

    PENDING = "pending"
    VERIFIED = "verified"
    COUNTED = "counted"
    WITHDRAWN = "withdrawn"
    INVALIDATED = "invalidated"
    LAPSED = "lapsed"


PENDING, VERIFIED, COUNTED = PledgeState.PENDING, PledgeState.VERIFIED, PledgeState.COUNTED
WITHDRAWN, INVALIDATED, LAPSED = PledgeState.WITHDRAWN, PledgeState.INVALIDATED, PledgeState.LAPSED

PLEDGE = Workflow(
    moves={
        "verify": Move((PENDING,), VERIFIED),
        "count": Move((VERIFIED,), COUNTED),
        "withdraw": Move((PENDING, VERIFIED, COUNTED), WITHDRAWN),
        "invalidate": Move((PENDING, VERIFIED, COUNTED), INVALIDATED),
        "lapse": Move((PENDING,), LAPSED),
    },
    queues={
        PENDING: Queue("signer", Role.RESIDENT),
        VERIFIED: Queue("reviewer", Role.COUNTY_OFFICER, Role.CITY_OFFICER),
        COUNTED: Queue("household", Role.RESIDENT),
    },
    ends={PENDING: "lapse", COUNTED: LASTS},
)
