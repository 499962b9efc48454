"""The published language: what of a change is refused, and that the documents are of the code."""

import copy
from typing import Any

import pytest

from jinguo.events import BreakingChange, asyncapi, declared, refuse_breaking, schema_of
from shared.contracts.pledges import PledgeSigned


def changed(**changes: Any) -> dict[str, Any]:
    """The schema of an event with other properties; None takes one out."""
    schema = copy.deepcopy(schema_of(PledgeSigned))
    for name, value in changes.items():
        if value is None:
            del schema["properties"][name]
        else:
            schema["properties"][name] = value
    return schema


def test_what_would_break_a_reader_is_refused_and_what_adds_is_not() -> None:
    old = schema_of(PledgeSigned)
    refuse_breaking(PledgeSigned.type, old, changed(colour={"type": "string"}))
    optional = changed()
    optional["required"] = [name for name in old["required"] if name != "serial"]
    for broken in (changed(serial=None), changed(serial={"type": "string"}), optional):
        with pytest.raises(BreakingChange, match="serial"):
            refuse_breaking(PledgeSigned.type, old, broken)


def test_the_document_has_every_event_on_the_topic_of_its_service() -> None:
    document = asyncapi()
    assert document["asyncapi"].startswith("3.")
    told = str(document)
    assert all(event.type in told for event in declared())
    assert {"pledges", "referrals", "notifier"} <= {name.rpartition(".")[2] for name in document["channels"]}
