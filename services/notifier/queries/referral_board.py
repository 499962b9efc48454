"""Reading the referral dashboard's table."""

from collections import Counter

from services.notifier.domain.referral_board import GROUP, IN, TABLE, WAITED, ReferralBoard, board
from shared.clock import now
from shared.consumers.cursors import Cursors
from shared.consumers.runtime import table_of
from shared.store.driver import Bson, Session, guarded, in_transaction
from shared.store.store import Store


async def read_board(store: Store) -> ReferralBoard:
    """The dashboard as of now. Raises Unavailable."""
    at = now()
    return board(await _rows(store), at)


async def _rows(store: Store) -> list[Bson]:
    """All rows of the live generation, of one snapshot: a batch is in it wholly or not at all."""

    async def read(session: Session) -> list[Bson]:
        generation = await Cursors(store.database, GROUP, "").live(session)
        table = store.database[table_of(TABLE, generation)]
        return await table.find({}, session=session).to_list(None)

    async with guarded(store.timeout):
        return await in_transaction(store.client, read)


async def referrals_shown(store: Store) -> dict[str, dict[str, int]]:
    """What the table counts, for the audit: `<county>:<department>` -> states, offers, days of waiting."""
    found: dict[str, Counter[str]] = {}
    for row in await _rows(store):
        counts = found.setdefault(f"{row['county']}:{row['department']}", Counter())
        for column, count in row.items():
            if column.startswith((IN, WAITED)) or column in ("offered", "lapsed"):
                counts[column] += count
    return {key: {name: n for name, n in counts.items() if n} for key, counts in found.items()}
