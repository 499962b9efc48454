"""`docs/benchmarks.md`: the table, the machine, and what falls short."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from bench.figures import Figure
from bench.parts import Parts
from tests.kit.kafka_broker import VERSION, ExternalBroker

PATH = Path("docs/benchmarks.md")
HEAD = ("", "what", "ours", "baseline", "ratio or value", "goal", "reached")
_SAID = {True: "yes", False: "no", None: ""}


def cells(row: str, figure: Figure) -> tuple[str, ...]:
    """A line of the table."""
    baseline = figure.baseline or ""
    return (row, figure.title, figure.ours, baseline, figure.shown, figure.wanted, _SAID[figure.reached])


def table(found: Sequence[tuple[str, Figure]]) -> Table:
    """For the terminal."""
    shown = Table(*HEAD)
    for row, figure in found:
        shown.add_row(*cells(row, figure), style="red" if figure.reached is False else None)
    return shown


def write(found: Sequence[tuple[str, Figure]], machine: Sequence[str], parts: Parts, command: str) -> None:
    """Write the document."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}. Ours and the baseline run in turns on the",
        f"same machine in the same run: {parts.pairs} pairs of {parts.seconds:g} s each; rates are medians,",
        "the ratio is the median of the pairs' ratios. Only ratios carry over to another machine.",
        "",
        *(f"- {line}" for line in machine),
        "",
        *_table([HEAD, *(cells(row, figure) for row, figure in found)]),
        "",
        "## What falls short",
        "",
        *(_short(found) or ["Nothing."]),
        "",
        "## Notes",
        "",
        *(f"- {row}, {figure.title}: {figure.note}" for row, figure in found if figure.note),
    ]
    PATH.write_text("\n".join(lines) + "\n")


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _short(found: Sequence[tuple[str, Figure]]) -> list[str]:
    return [
        f"- {row}, {figure.title}: {figure.shown}, wanted {figure.wanted}"
        for row, figure in found
        if figure.reached is False
    ]


async def machine(parts: Parts) -> list[str]:
    """What it was measured on."""
    async with parts.client() as client:
        mongod = (await client.admin.command("buildInfo"))["version"]
    broker = "an external one" if isinstance(parts.kafka, ExternalBroker) else VERSION
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"{os.cpu_count()} cores, {_processor()}, {memory:.0f} GB of memory, {platform.system()}",
        f"Python {platform.python_version()}, MongoDB {mongod} with a cache of {parts.cache_gb:g} GB,"
        f" Kafka {broker}",
        "servers, load client, MongoDB and Kafka all on this machine, each in a process of its own",
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.machine()
