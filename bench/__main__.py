"""`python -m bench [row …]`: measure the figures. Without rows: all of them, and docs/benchmarks.md."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bench import commands, report, streams, way
from bench.figures import Figure
from bench.parts import Parts, parts
from shared.telemetry import configure_logging

ROWS: dict[str, Callable[[Parts], Awaitable[list[Figure]]]] = {
    "post": commands.post,
    "outbox": commands.outbox,
    "sealing": commands.sealing,
    "relay": streams.relay,
    "consumer": streams.consumer,
    "way": way.whole,
    "latency": way.latency,
    "size": commands.size,
    "poison": streams.poison,
    "serials": commands.serials,
}
Row = StrEnum("Row", {row: row for row in ROWS})  # type: ignore[misc]
console = Console()


async def measured(given: Parts, rows: list[str]) -> tuple[list[tuple[str, Figure]], list[str]]:
    """The figures of some rows, and the rows that broke: those are told and do not stop the others."""
    found, broken = [], []
    for number, row in enumerate(rows, 1):
        with console.status(f"{number}/{len(rows)} {row}: {ROWS[row].__doc__}"):
            try:
                figures = await ROWS[row](given)
            except Exception as error:
                console.print(f"[red]{row}: {error!r}")
                broken.append(row)
                continue
        for figure in figures:
            found.append((row, figure))
            console.print(*report.cells(row, figure)[1:], figure.note, sep=" · ", highlight=False)
    return found, broken


def main(
    rows: Annotated[list[Row] | None, typer.Argument(help="Only these rows")] = None,
    seconds: Annotated[float, typer.Option(help="How long each measurement takes")] = 4.0,
    pairs: Annotated[int, typer.Option(help="Ours and baseline in turns, so many times")] = 3,
    full: Annotated[bool, typer.Option(help="Row `size` with 10 million documents")] = False,
) -> None:
    """Measure the figures; without rows, all of them, and write docs/benchmarks.md."""
    configure_logging("CRITICAL")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it calls elections errors
    with (
        parts(seconds=seconds, pairs=pairs, full=full) as given,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        found, broken = runner.run(measured(given, list(rows or ROWS)))
        if not rows and not broken:
            machine = runner.run(report.machine(given))
            command = "make bench" if (seconds, pairs, full) == (4.0, 3, False) else "python -m bench"
            report.write(found, machine, given, command)
    console.print(report.table(found))
    if broken:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
