"""Parked events are tried again: one look for all groups of a service, not one for each."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from shared.consumers.parking import counts
from shared.consumers.runtime import Runtime
from shared.mongo.driver import PyMongoError
from shared.telemetry import PARKED

POLL = 0.5
"""Seconds between looks while something is parked."""
AT_REST = 2.0
"""The same while nothing is: another replica may have parked something and died."""
log = structlog.get_logger()


class Retries:
    """Tries the parked events of some groups, which keep them in one database, when they are due."""

    def __init__(self, runtimes: Sequence[Runtime]) -> None:
        self._runtimes = runtimes
        self._parked = runtimes[0].store.database["parked"]
        self._has_parked = asyncio.Event()
        for runtime in runtimes:
            runtime.has_parked = self._has_parked

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            waiting = 0
            try:
                waiting = await self.once()
            except PyMongoError as error:
                groups = [runtime.consumer.group for runtime in self._runtimes]
                log.warning("parked events not retried", groups=groups, error=type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL if waiting else AT_REST):
                    await self._has_parked.wait()
            self._has_parked.clear()

    async def once(self) -> int:
        """One look. Returns how many events were parked."""
        parked = await counts(self._parked)
        for runtime in self._runtimes:
            group = runtime.consumer.group
            PARKED.labels(group).set(parked.get(group, 0))
            if group in parked:
                await runtime.retry_due()
        return sum(parked.values())
