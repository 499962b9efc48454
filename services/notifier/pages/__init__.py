"""Pages: one jinja2 template each, self-contained."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_templates = Environment(
    loader=PackageLoader("services.notifier", "pages"), autoescape=True, undefined=StrictUndefined
)


def page(name: str, **facts: Any) -> str:
    """The page `name` with its facts filled in and escaped."""
    return _templates.get_template(name).render(**facts)
