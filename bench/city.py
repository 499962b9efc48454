"""`make city`: every household of the city signs and proves its phone, over HTTP, on this machine."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import islice
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from bench import load
from bench.forms import SEED, everybody, forms
from bench.parts import Parts, campaign, parts
from jinguo.connection import Platform
from jinguo.operations import audit, settled
from services.pledges.domain.pledge import Pledge
from shared.city.divisions import CITY_HOUSEHOLDS
from shared.contracts.pledges import PledgeCodeIssued
from shared.log.archive import Archive
from shared.model.events import decode
from shared.mongo.driver import Client
from shared.privacy.vault import Vault
from shared.settings import Settings, use
from shared.telemetry import configure_logging

CLIENTS = 64
BATCH = 2000
UNPROVEN = 4000
"""Households that may wait for their code before the next ones sign."""
CAUGHT_UP = 600.0
"""Seconds that the projections may take once everybody has signed."""
console = Console()


class City:
    """The load: sign, read the codes as the notifier does, prove."""

    def __init__(self, households: int, campaign_id: str, archive: Archive, vault: Vault) -> None:
        self.households = households
        self.proven = 0
        self.refused: Counter[int] = Counter()
        self._archive = archive
        self._vault = vault
        self._sign = f"/pledges/campaigns/{campaign_id}/pledges"
        self._forms: Iterator[bytes] = self._signings()
        self._again: deque[bytes] = deque()
        self._codes: deque[bytes] = deque()
        self._unproven = 0
        self.clients = load.Clients(self._take, self._answered)

    def _signings(self) -> Iterator[bytes]:
        for form in islice(forms(everybody()), self.households):
            yield load.post(self._sign, form, key=f"city-{form['phone']}")

    def _take(self) -> bytes | None:
        if self._codes:
            return self._codes.popleft()
        if self._again:
            return self._again.popleft()
        if self._unproven >= UNPROVEN or (request := next(self._forms, None)) is None:
            return None
        self._unproven += 1
        return request

    def _answered(self, answer: load.Answer) -> None:
        if answer.status == 503:  # it was too late to answer, and may have been done
            self._again.append(answer.request)
        elif answer.status == 200 or (answer.status == 409 and b"/verify " in answer.request[:80]):
            self.proven += 1
            self._unproven -= 1
        elif answer.status != 201:
            raise RuntimeError(f"{answer.status} {answer.body.decode()}")
        self.refused[answer.status] += answer.status >= 400

    async def read_codes(self) -> None:
        """Follow the archive; open the boxes with the vault."""
        position = 0
        while self.proven < self.households:
            envelopes = await self._archive.read(position, BATCH)
            if not envelopes:
                await asyncio.sleep(0.05)
                continue
            position = envelopes[-1].position
            events = [
                event
                for envelope in envelopes
                if envelope.type == PledgeCodeIssued.type
                and isinstance(event := decode(envelope), PledgeCodeIssued)
            ]
            await asyncio.gather(*map(self._vault.open_event, events))
            for event in events:
                path = f"/pledges/signings/{event.pledge_id}/verify"
                self._codes.append(load.post(path, {"code": event.code}))
            self.clients.wake()


async def sign_all(city: City, port: int) -> float:
    """Let everybody sign. Returns the seconds it took."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    began = time.perf_counter()
    with Progress("签署 signing", *columns, console=console) as progress:
        task = progress.add_task("", total=city.households)
        await city.clients.connect(port, CLIENTS)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.read_codes())
            while city.proven < city.households:
                city.clients.wake()
                _ = city.clients.idle  # raises when the server hung up
                progress.update(task, completed=city.proven)
                await asyncio.sleep(0.2)
        progress.update(task, completed=city.proven)
    city.clients.close()
    return time.perf_counter() - began


async def held_against(client: Client, settings: Settings, households: int) -> bool:
    """Wait for the projections, then recompute them. False when anything differs. Raises TimeoutError."""
    platform = Platform(client, settings)
    if not await settled(platform, CAUGHT_UP):
        raise TimeoutError("events are still under way")
    drift, compared = await audit(platform)
    in_chains = await platform.stores["pledges"].count(Pledge, {"serial": {"$gt": 0}}, limit=households + 1)
    console.print(f"{compared:,} counts compared, drift {len(drift)}; {in_chains:,} households in the chains")
    return not drift and in_chains == households


async def run(given: Parts, households: int, apart: bool) -> bool:
    """The whole run. True when nothing drifted and nobody is missing."""
    settings = use(given.settings("city").model_copy(update={"command_timeout": 1.8}))
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(given.client())
        vault = await given.vault(client, settings)
        for kind in ["notifier-service"] if apart else []:
            await stack.enter_async_context(given.server(kind, settings))
        port = await stack.enter_async_context(
            given.server("pledges-service" if apart else "platform", settings)
        )
        archive = Archive(client, settings.database_prefix, "pledges")
        began = time.perf_counter()
        city = City(households, await campaign(port), archive, vault)
        signed = await sign_all(city, port)
        agrees = await held_against(client, settings, households)
        seconds = time.perf_counter() - began
    console.print(f"{households:,} households signed and proved their phones in {_clock(signed)}")
    console.print(f"{households / signed:,.0f} households a second, {2 * households / signed:,.0f} requests")
    console.print(f"all projections caught up and audited after {_clock(seconds)}")
    if refused := +city.refused:
        console.print(f"answers other than success, by status: {dict(refused)}")
    return agrees


def _clock(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:04.1f} s"


def main(
    households: Annotated[int, typer.Option(help="How many sign")] = CITY_HOUSEHOLDS,
    apart: Annotated[
        bool, typer.Option("--apart/--together", help="A process for each service, or one for both")
    ] = True,
) -> None:
    """All households of the city sign and prove their phones; the projections must not drift."""
    configure_logging("WARNING")
    console.print(f"{households:,} households, {CLIENTS} clients, seed {SEED}")
    with parts() as given, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if not runner.run(run(given, households, apart)):
            raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
