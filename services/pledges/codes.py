"""What one-time codes may cost: each is a message that somebody gets unasked, and that we pay for.

They are counted where nothing that the counted may do reaches: erasing a form takes back no count.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.pledges.domain.fraud import HELD_FROM, HoldReason, ListKind
from services.pledges.domain.identity import phone_key
from services.pledges.lookups import Lookups
from shared.http.allowances import Asking
from shared.model.roles import Role, reaches
from shared.settings import settings
from shared.store.rates import DAY, HOUR, MINUTE, Counted, Limit, Tally
from shared.store.store import Store

HERE = (Limit(5, 10 * MINUTE, own=True), Limit(15, DAY, own=True))
"""Codes to one phone that one address, or one account, may ask for: a family at one table, not a script."""
PHONE_DAY = Limit(20, DAY)
PHONE = (Limit(8, 10 * MINUTE), PHONE_DAY)
"""Codes to one phone, whoever asks: more than one of them may, so that nobody uses up another's."""
LIMITS = HERE + PHONE
PER_HOUR, PER_DAY = 20, 100
"""Of a campaign, and of the city, as multiples of what may go out in a minute before the brake is on."""
PART = 16
"""Characters of a keyed hash, enough to tell those apart who ask for codes to one phone."""
WORKERS = (Role.COMMUNITY_WORKER, Role.COUNTY_OFFICER, Role.CITY_OFFICER)


@asynccontextmanager
async def paying_for_code(
    store: Store, asking: Asking, phone: str, campaign_id: str, community: str
) -> AsyncIterator[list[HoldReason]]:
    """Count a code to the phone with this key, and no more if it is not sent after all. Yields why its form
    must be held.

    Raises TooManyRequests, ProofNeeded, Unavailable.
    """
    if await Lookups.of(store).listed(phone) is ListKind.ALLOW and _trusted(store, asking, phone, community):
        yield []
        return
    counted = await _count(store, asking, phone, campaign_id)
    try:
        yield [HoldReason.SUSTAINED] if any(map(_busy, counted)) else []
    except Exception:
        await asking.take_back(counted)
        raise


def _busy(counted: Counted) -> bool:
    return counted.limit == PHONE_DAY and counted.number > HELD_FROM


async def _count(store: Store, asking: Asking, phone: str, campaign_id: str) -> list[Counted]:
    blind = store.vault.blind_index
    here = blind(f"codes|{asking.here}")
    tallies = [Tally(f"codes|{phone}", LIMITS, part=here[:PART], seldom=True)]
    if asking.bearer is None and (minute := settings().codes_per_minute):
        limits = Limit(minute, MINUTE), Limit(minute * PER_HOUR, HOUR), Limit(minute * PER_DAY, DAY)
        tallies += [
            Tally(blind(f"codes|campaign|{campaign_id}"), limits, brake="campaign"),
            Tally(blind("codes|city"), limits, brake="city"),
        ]
    async with Lookups.of(store).alone_with(phone):  # who asks often at once passes no limit for a moment
        return await asking.spend(*tallies)


def _trusted(store: Store, asking: Asking, phone: str, community: str) -> bool:
    """Whether who asks is one for whom the list makes an exception: they have proven that the phone is
    theirs, or are responsible for the community. What is typed proves nothing."""
    if asking.bearer is None:
        return False
    own, callers = asking.bearer.phone, asking.bearer.callers.values()
    if own is not None and phone_key(store.vault.blind_index, own) == phone:
        return True
    return any(one.role in WORKERS and reaches(one, community) for one in callers)
