"""What messages say, whatever the numbers in them are."""

import re

import pytest

from services.notifier.templates import TEMPLATES
from services.notifier.wording import Template
from shared.model.events import Event
from shared.model.plurals import plural

ONE_OF_MANY = re.compile(r"\b1 (?!was\b|matches\b)(?:\w+ )?(\w+s)\b")
"""`1 days`, `1 matching pledges`."""


def numbers(template: str) -> set[str]:
    """The fields of a template's event that are numbers."""
    events = [e for e in Event.registry.values() if e.event_name == template.partition("/")[0]]
    return {name for e in events for name, field in e.model_fields.items() if field.annotation is int}


def test_one_is_not_said_as_many() -> None:
    counted = 0
    for name, template in TEMPLATES.items():
        ones = numbers(name) & template.names
        counted += len(ones)
        for text in template.text("en", dict.fromkeys(template.names, "…") | dict.fromkeys(ones, 1)):
            assert not ONE_OF_MANY.search(text), f"{name}: {text}"
    assert counted > 10


@pytest.mark.parametrize(("streak", "said"), [(1, "1 day in a row."), (2, "2 days in a row.")])
def test_a_household_reads_for_how_many_days_in_a_row_it_checked_in(streak: int, said: str) -> None:
    template: Template = TEMPLATES["household.checked-in"]
    body = template.text("en", {"day": "2020-03-08", "streak": streak}).body
    assert body == f"Checked in for 2020-03-08: {said}"


def test_irregular_nouns_say_both_forms() -> None:
    assert [plural(n, "try", "tries") for n in (0, 1, 2)] == ["0 tries", "1 try", "2 tries"]
