"""What a row measured, held against its goal."""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table. `baseline` and `goal` None: told for information."""

    title: str
    ours: str
    baseline: str | None
    value: float
    goal: float | None
    at_most: bool = False
    unit: str = ""
    note: str = ""

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    @property
    def wanted(self) -> str:
        return "" if self.goal is None else f"{'≤' if self.at_most else '≥'} {self.goal:,g}{self.unit}"

    @property
    def shown(self) -> str:
        return f"{self.value:,.0f}{self.unit}" if self.unit else f"{self.value:.2f}"


Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True)
class Pairs:
    """Rates measured in turns: ours, baseline, ours, baseline, …"""

    ours: list[float]
    baseline: list[float]

    @classmethod
    async def measured(cls, ours: Measure, baseline: Measure, times: int) -> "Pairs":
        pairs = cls([], [])
        for _ in range(times):
            pairs.ours.append(await ours())
            pairs.baseline.append(await baseline())
        return pairs

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(a / b for a, b in zip(self.ours, self.baseline, strict=True))

    def figure(self, title: str, goal: float | None, note: str = "") -> Figure:
        ours, baseline = statistics.median(self.ours), statistics.median(self.baseline)
        spread = ", ".join(f"{a / b:.2f}" for a, b in zip(self.ours, self.baseline, strict=True))
        note = f"{note}; pairs {spread}" if note else f"pairs {spread}"
        return Figure(title, f"{ours:,.0f}/s", f"{baseline:,.0f}/s", self.ratio, goal, note=note)
