"""Rows about POST: the price of durability, the size of the database, one counter for everybody."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from bench import load
from bench.figures import Figure, Measure, Pairs
from bench.fill import CODE, counted_pledges, pending_pledges, store_many
from bench.forms import evenly
from bench.parts import Parts, Signings, campaign
from shared.settings import Settings

FASTEST = 6000
"""Requests a second that no row reaches here: so many are made ready for each second of load."""
WARM_UP = 1.0


class Target(NamedTuple):
    """A server under load, and what signs there."""

    parts: Parts
    port: int
    campaign: str
    signings: Signings

    def signing(self, end: str = "pledges", name: str = "pledges") -> Measure:
        """Requests a second to a route that takes the form."""

        async def measure(seconds: float = self.parts.seconds) -> float:
            requests = self.signings.take(FASTEST * seconds, end)
            if name != "pledges":
                requests = [request.replace(b"/pledges/", f"/{name}/".encode(), 1) for request in requests]
            return (await self.parts.load(self.port, requests, seconds=seconds)).rate

        return measure


@asynccontextmanager
async def target(parts: Parts, kind: str, settings: Settings) -> AsyncIterator[Target]:
    """A server with a campaign, warm."""
    async with parts.server(kind, settings) as port:
        found = Target(parts, port, opened := await campaign(port), Signings(opened))
        await parts.load(port, found.signings.take(FASTEST * WARM_UP), seconds=WARM_UP)
        yield found


async def post(parts: Parts) -> list[Figure]:
    """Durable POST against the same route that only validates and echoes."""
    async with target(parts, "posts", parts.settings("post")) as server:
        durable = server.signing()
        echo = await Pairs.measured(durable, server.signing("echo"), parts.pairs)
        unwritten = await Pairs.measured(durable, server.signing(name="unwritten"), parts.pairs)
    return [
        echo.figure("durable POST / the route that only validates and echoes", 0.7),
        unwritten.figure("durable POST / the same route without its write", None),
    ]


async def outbox(parts: Parts) -> list[Figure]:
    """Durable POST against the textbook's transaction outbox: the same route on another store."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(target(parts, "posts", parts.settings("post")))
        theirs = await stack.enter_async_context(target(parts, "textbook-posts", parts.settings("textbook")))
        pairs = await Pairs.measured(ours.signing(), theirs.signing(), parts.pairs)
    return [pairs.figure("durable POST / transaction outbox", 3)]


async def sealing(parts: Parts) -> list[Figure]:
    """Durable POST with encryption against the same without: the difference is AES-GCM and its keys."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(target(parts, "posts", parts.settings("sealed")))
        clear = await stack.enter_async_context(target(parts, "clear-posts", parts.settings("clear")))
        pairs = await Pairs.measured(ours.signing(), clear.signing(), parts.pairs)
    return [pairs.figure("durable POST, personal fields sealed / in clear", 0.8)]


async def size(parts: Parts) -> list[Figure]:
    """POST with many documents against POST with few."""
    many, few = 10_000_000 if parts.full else 1_000_000, 10_000
    async with AsyncExitStack() as stack:
        servers = []
        for documents in (many, few):
            settings = parts.settings(f"size{documents}")
            async with parts.client() as client:
                vault = await parts.vault(client, settings)
                await store_many(client, settings, counted_pledges(vault, documents))
            servers.append(await stack.enter_async_context(target(parts, "posts", settings)))
        big, small = servers
        pairs = await Pairs.measured(big.signing(), small.signing(), parts.pairs)
    note = "" if parts.full else "10 million with `--full`"
    return [pairs.figure(f"POST with {many:,} documents / with {few:,}", 0.9, note)]


async def serials(parts: Parts) -> list[Figure]:
    """Verifying, with every serial from one community's counter, against all communities' counters."""
    settings = parts.settings("serials")
    many = int(parts.seconds * FASTEST / 2)
    async with target(parts, "posts", settings) as server, parts.client() as client:
        vault = await parts.vault(client, settings)

        def verifying(places: Callable[[], Sequence[str]]) -> Measure:
            async def measure() -> float:
                pledges = await pending_pledges(vault, server.campaign, places())
                await store_many(client, settings, pledges)
                body = {"code": CODE}
                requests = [load.post(f"/pledges/signings/{p['_id']}/verify", body) for p in pledges]
                return (await parts.load(server.port, requests)).rate

            return measure

        one, spread = verifying(lambda: [evenly(1)[0]] * many), verifying(lambda: evenly(many))
        pairs = await Pairs.measured(one, spread, parts.pairs)
    return [pairs.figure("verify: one community's counter / spread over all", 0.5)]
