"""How often something may happen within a time."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

CODE_MINUTES = 10
"""How long a one-time code is good."""


class Limit(NamedTuple):
    """At most `most` times within `within`."""

    most: int
    within: timedelta

    def wait(self, times: Sequence[datetime], now: datetime) -> int:
        """Seconds until it may happen once more; 0 when it may happen now."""
        if not times:
            return 0
        recent = sorted(time for time in times if time > now - self.within)
        if len(recent) < self.most:
            return 0
        return max(1, math.ceil((recent[-self.most] + self.within - now).total_seconds()))
