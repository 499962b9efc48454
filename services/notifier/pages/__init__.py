"""The dashboards, and the local page of messages sent."""

from datetime import datetime
from pathlib import Path

from shared.city.days import SHANGHAI
from shared.http.pages import Pages


def _local(instant: datetime) -> str:
    """As the clocks of Quzhou show it."""
    return instant.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


pages = Pages("notifier", Path(__file__).parent, local=_local)
