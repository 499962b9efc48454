"""Rows about the whole way, from a POST to the projection."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bench.commands import FASTEST, Target, target
from bench.figures import Figure, Pairs
from bench.load import Outcome
from bench.parts import Parts, until
from bench.projection import LATENESS, counted
from shared.mongo.driver import Database
from shared.settings import Settings

DRAIN = 90.0
"""Seconds that the last event may take."""


@dataclass
class Way:
    """Servers, and the projection at the end of the way."""

    server: Target
    database: Database

    async def events(self) -> float:
        """Events a second, from the first POST until the projection shows the last."""
        before = await counted(self.database)
        began = time.perf_counter()
        outcome = await self._load(self.server.parts.seconds)
        await self._counted(before + outcome.accepted)
        return outcome.accepted / (time.perf_counter() - began)

    async def lateness(self, rate: float) -> list[float]:
        """Seconds from commit to handler at so many POSTs a second, sorted."""
        before = await counted(self.database)
        await self.database[LATENESS].delete_many({})
        outcome = await self._load(self.server.parts.seconds * 2, rate)
        await self._counted(before + outcome.accepted)
        await asyncio.sleep(1)
        return sorted([s async for row in self.database[LATENESS].find() for s in row["seconds"]])

    async def settled(self) -> None:
        """Wait until nothing comes any more."""
        seen = -1

        async def quiet() -> bool:
            nonlocal seen
            before, seen = seen, await counted(self.database)
            return before == seen

        await until(quiet, DRAIN, pause=1)

    async def _counted(self, events: int) -> None:
        async def shown() -> bool:
            return await counted(self.database) >= events

        await until(shown, DRAIN)

    async def _load(self, seconds: float, rate: float | None = None) -> Outcome:
        requests = self.server.signings.take(FASTEST * seconds if rate is None else rate * seconds)
        parts, port = self.server.parts, self.server.port
        outcome = await parts.load(port, requests, seconds=seconds, rate=rate)
        _ = outcome.rate  # refuses a load that was refused
        return outcome


@asynccontextmanager
async def way(parts: Parts, kinds: Sequence[str], settings: Settings) -> AsyncIterator[Way]:
    """The last kind takes the POSTs, those before it are what stands behind; all are warm."""
    async with AsyncExitStack() as stack:
        database = (await stack.enter_async_context(parts.client()))[f"{settings.database_prefix}_bench"]
        for kind in kinds[:-1]:
            await stack.enter_async_context(parts.server(kind, settings))
        server = await stack.enter_async_context(target(parts, kinds[-1], settings))
        found = Way(server, database)
        await found.settled()
        yield found


async def whole(parts: Parts) -> list[Figure]:
    """POST, Kafka, projection: 64 clients, against the textbook on the same processes."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(
            way(parts, ["projection", "pledges"], parts.settings("way", kafka=True))
        )
        theirs = await stack.enter_async_context(
            way(parts, ["textbook-projection", "textbook-pledges"], parts.settings("slow", kafka=True))
        )
        pairs = await Pairs.measured(ours.events, theirs.events, parts.pairs)
    return [pairs.figure("the whole way, POST to Kafka to projection / the textbook", 4)]


async def latency(parts: Parts) -> list[Figure]:
    """From commit to handler, at half of what the whole way carries, on both logs."""
    logs = {"Kafka": ["projection", "pledges"], "embedded": ["pledges+projection"]}
    return [figure for log, kinds in logs.items() for figure in await _latency(parts, log, kinds)]


async def _latency(parts: Parts, log: str, kinds: Sequence[str]) -> list[Figure]:
    async with way(parts, kinds, parts.settings("late", kafka=log == "Kafka")) as found:
        rate = await found.events() / 2
        late = await found.lateness(rate)
    figures = []
    for percent, goal in ((50, 50), (99, 250)):
        value = late[len(late) * percent // 100] * 1000
        title = f"commit to handler, {log} log, p{percent}"
        note = f"at {rate:,.0f} POSTs a second"
        figures.append(Figure(title, f"{value:,.0f} ms", None, value, goal, True, " ms", note))
    return figures
