"""`jinguo demo`: made-up people use every service through the public API; the boards are held against it."""

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib import import_module

from rich.console import Console
from rich.table import Table

from jinguo.services import SERVICES
from shared.local.api import PATIENCE, Api
from shared.local.client import Client
from shared.local.demo import CLIENTS, Did, Part

AGREE = "[green]看板一致 the dashboards agree[/]"
DIFFER = "[red]看板不符 the dashboards differ[/]"


def parts() -> Iterator[Part]:
    """What each service has to show."""
    return (import_module(service.demo).part for service in SERVICES if service.demo)


def sizes_of(options: Sequence[str]) -> dict[str, int]:
    """How many there are of each part's unit: `--households 100`. Raises SystemExit for another option."""
    parser = argparse.ArgumentParser("jinguo demo", add_help=False, allow_abbrev=False)
    for part in parts():
        parser.add_argument(f"--{part.unit}", type=int, default=part.size)
    return dict(vars(parser.parse_args(options)))


async def run(url: str, sizes: Mapping[str, int], seed: int, console: Console) -> bool:
    """Run the parts that have a size. False when a board differs."""
    with closing(Client(url, CLIENTS)) as client:
        await client.request("GET", "/health/live")  # where nobody is, that is told at once
        wanted = [(part, size) for part in parts() if (size := sizes.get(part.unit))]
        agree = [await _shows(part, client, size, seed, console) for part, size in wanted]
    console.print(AGREE if all(agree) else DIFFER)
    return all(agree)


async def _shows(part: Part, client: Client, size: int, seed: int, console: Console) -> bool:
    """Whether the board comes to show what a part did."""
    client.headers = {}
    did = await part.run(Api(client), size, seed)
    shown = await _caught_up(did)
    console.print(_table(did, shown))
    if did.note:
        console.print(did.note)
    return did.agrees(shown)


async def _caught_up(did: Did) -> Mapping[str, int]:
    """What the board shows, once it agrees or has had its time."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        shown = await did.board()
        if did.agrees(shown) or asyncio.get_running_loop().time() > deadline:
            return shown
        await asyncio.sleep(0.2)


def _table(did: Did, shown: Mapping[str, int]) -> Table:
    table = Table(*did.heads, "看板 dashboard")
    for row in did.rows:
        table.add_row(row.title, str(row.people), str(shown.get(row.figure, 0)) if row.figure else "")
    return table
