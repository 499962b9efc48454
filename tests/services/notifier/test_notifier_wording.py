"""Texts are held against their events when they are loaded; what was said once stays as it was said."""

from typing import Any

import pytest

from services.notifier import templates
from services.notifier.templates import TEMPLATES
from services.notifier.wording import (
    Audience,
    Template,
    Text,
    UnfitTemplate,
    checked,
    desk_of,
    person,
)
from shared.model.clock import now
from tests.services.notifier.desk import PHONES, Desk, signed

GOOD, OTHER = Text("好", "第 {serial} 户"), Text("Good", "number {serial}")
UNFIT: dict[str, tuple[str, Template, str]] = {
    "in Chinese": ("pledge.signed", Template((), Text("好", "{streak} 天"), OTHER), "zh names {streak}"),
    "in a title": ("pledge.signed", Template((), Text("{when}", ""), OTHER), "zh names {when}"),
    "in English only": ("pledge.signed", Template((), GOOD, Text("{days}", "x")), "en names {days}"),
    "without a name": ("pledge.signed", Template((), GOOD, Text("Good", "{}")), "en names {}"),
    "of a part": ("pledge.signed", Template((), Text("{day.year}", ""), OTHER), "zh names {day.year}"),
    "sealed": ("pledge.code-issued", Template((), Text("{name}", ""), Text("", "")), "zh names {name}"),
    "that may be missing": ("slot.moved", Template((), Text("", "{was}"), Text("", "")), "zh names {was}"),
    "of no event": ("pledge.singed", Template((), Text("", ""), Text("", "")), "there is no such event"),
    "to nobody": ("talk.held", Template((person("signer"),), Text("", ""), Text("", "")), "named by signer"),
    "to no patient": (
        "beds.changed",
        Template((person("patient"),), Text("", ""), Text("", "")),
        "by patient",
    ),
    "to no desk": (
        "talk.held",
        Template((desk_of("department"),), Text("", ""), Text("", "")),
        "by department",
    ),
    "of no variant": ("talk.held/late", Template((), Text("", ""), Text("", "")), "no variants"),
}


@pytest.mark.parametrize(("name", "template", "fault"), UNFIT.values(), ids=UNFIT.keys())
def test_a_text_with_a_fact_that_its_event_lacks_is_refused_when_it_is_loaded(
    name: str, template: Template, fault: str
) -> None:
    with pytest.raises(UnfitTemplate) as refused:
        checked({**TEMPLATES, name: template}, templates.SENT)
    assert name in str(refused.value) and fault in str(refused.value)


def test_an_unbalanced_brace_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(ValueError):
        checked({"pledge.signed": Template((), Text("{serial", ""), OTHER)}, {})


def test_what_is_filled_in_while_it_is_sent_may_be_named_by_that_text_alone() -> None:
    code = {name: TEMPLATES[name] for name in templates.SENT}
    assert checked(code, templates.SENT) == code
    with pytest.raises(UnfitTemplate):
        checked(code, {})


def test_every_audience_finds_its_inbox() -> None:
    event = signed("p1")
    assert person("signer").inbox(event) == "p1"
    assert all(isinstance(to, Audience) for template in TEMPLATES.values() for to in template.to)


CHANGES: dict[str, dict[str, Template]] = {
    "gained a variable": {
        "pledge.signed": Template((person("signer"),), Text("新", "{extra}"), Text("New", "{extra}"))
    },
    "was renamed": {},
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES.keys())
async def test_a_message_stays_as_it_was_said_whatever_becomes_of_its_template(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Template]
) -> None:
    await desk.publish(("pledge-1", signed("p1")))
    await desk.consumed()
    mine = desk.resident(PHONES["p1"])
    before = [await desk.get("/inbox/p1", mine, lang=language) for language in ("zh", "en")]
    others = {name: template for name, template in TEMPLATES.items() if name != "pledge.signed"}
    monkeypatch.setattr(templates, "TEMPLATES", others | changed)
    after = [await desk.get("/inbox/p1", mine, lang=language) for language in ("zh", "en")]
    assert after == before
    assert "第 128 户" in after[0]["items"][0]["text"]


async def stored_as_before(desk: Desk, template: str, facts: dict[str, Any]) -> None:
    """A message from before the words were kept."""
    row: dict[str, Any] = {"_id": "old", "version": 1, "recipient": "p1", "template": template}
    row |= {"facts": facts, "at": now(), "read_at": None}
    await desk.store.database["messages"].insert_one(row)


@pytest.mark.parametrize(
    ("template", "facts", "kind", "text"),
    [
        ("pledge.signed", {"serial": 7, "place": "柯城区"}, "pledge.signed", "柯城区接龙的第 7 户"),
        ("pledge.signed", {"serial": 7}, "pledge.signed", "…接龙的第 7 户"),
        ("referral.of-old", {"day": "2026-03-08"}, "earlier", "已无法显示"),
    ],
    ids=["as it was", "with a variable more", "with a template that is gone"],
)
async def test_a_message_from_before_the_words_were_kept_can_be_read(
    desk: Desk, template: str, facts: dict[str, Any], kind: str, text: str
) -> None:
    await stored_as_before(desk, template, facts)
    [message] = (await desk.get("/inbox/p1", desk.resident(PHONES["p1"])))["items"]
    assert message["kind"] == kind
    assert text in message["text"] and message["title"]
