"""Background work: bulk invalidations. They go on after a restart; a lease keeps replicas apart."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial

from shared.model.clock import now
from shared.model.ids import new_id
from shared.model.problems import NotFound
from shared.model.workflow import IllegalMove
from shared.mongo.lease import Lease
from shared.store.store import Store

from . import queries
from .domain.invalidation import Invalidation
from .domain.pledge import Pledge
from .lookups import CACHED_SECONDS

BATCH = 100
"""Pledges between two looks at whether to go on."""
POLL = 1.0
LEASE = 15.0
SEEN = timedelta(seconds=2 * CACHED_SECONDS)
"""After this every replica has seen that a bulk invalidation is in force, and holds what comes."""


async def strike_out(store: Store) -> None:
    """Advance running invalidations until cancelled."""
    lease = Lease(store.database["leases"], "invalidations", new_id(), LEASE)
    try:
        while True:
            running = await queries.running_invalidation(store)
            if running and await lease.acquire():
                await advance(store, running)
            else:
                await asyncio.sleep(POLL)
    finally:
        await lease.release()


async def advance(store: Store, running: Invalidation) -> None:
    """Strike out the next batch and note how far it got; each pledge is struck out once.

    A crash in between is harmless: what was struck out matches no more, and is counted by its mark.
    """
    where = running.condition.where() | {"_id": {"$gt": running.after}}
    pledges = await store.select(Pledge, where, sort=[("_id", 1)], limit=BATCH)
    await asyncio.gather(*(_strike(store, pledge.id, running) for pledge in pledges))
    struck = await queries.struck_by(store, running.id)
    if pledges:
        progress = partial(Invalidation.progress, invalidated=struck, after=pledges[-1].id)
        await store.change(Invalidation, running.id, progress)
    elif now() < running.started_at + SEEN:
        await asyncio.sleep(POLL / 4)
    else:
        await store.change(Invalidation, running.id, lambda job: job.finish(struck, now()))


async def _strike(store: Store, pledge_id: str, job: Invalidation) -> None:
    with suppress(IllegalMove, NotFound):  # it was withdrawn in the meantime
        await store.change(Pledge, pledge_id, lambda p: p.invalidate(job.reason, now(), job.actor, job.id))
