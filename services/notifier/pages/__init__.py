"""Pages: one jinja2 template each, self-contained."""

from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from shared.days import SHANGHAI

_templates = Environment(
    loader=PackageLoader("services.notifier", "pages"), autoescape=True, undefined=StrictUndefined
)


def _local(instant: datetime) -> str:
    """As the clocks of Quzhou show it."""
    return instant.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


_templates.filters["local"] = _local


def page(name: str, **facts: Any) -> str:
    """The page `name` with its facts filled in and escaped."""
    return _templates.get_template(name).render(**facts)
