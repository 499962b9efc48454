"""From an event to the words that are said about it, and from a message to the words that its reader sees."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.notifier.activities import ACTIVITIES
from services.notifier.domain.messages import Message
from services.notifier.wording import PLACE, Language, Template, Text, checked
from shared.city.days import SHANGHAI
from shared.city.divisions import CITY, path_name
from shared.model.events import Event

SENT = {one.say.name: frozenset({"code"}) for activity in ACTIVITIES for one in activity.codes}
"""What goes to a phone, and the names that are filled in while it is sent."""
TEMPLATES: Mapping[str, Template] = checked(
    {one.name: one.template for activity in ACTIVITIES for one in activity.texts}, SENT
)
KINDS = {one.name: activity.kind for activity in ACTIVITIES if activity.kind for one in activity.texts}
GONE = (
    Text(
        "较早的消息",
        "这条消息的内容已无法显示，如有疑问请联系当地妇联。",
    ),
    Text("An earlier message", "This message can no longer be shown. Please ask your women's federation."),
)
"""What is said in place of a message whose words were not kept and whose template is gone."""


def template_of(event: Event) -> str:
    """The name of the template for an event: of its variant where there is one."""
    variant = getattr(event, "kind", None) or getattr(event, "state", None)
    special = f"{event.event_name}/{variant}"
    return special if special in TEMPLATES else event.event_name


def kind_of(template: str) -> str:
    """What readers may sort messages by."""
    return KINDS.get(template, template)


def facts_of(event: Event, template: Template) -> dict[str, Any]:
    """What the template needs of the event, as it is shown: nothing else of it is stored."""
    facts = {
        name: f"{value.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if isinstance(value, datetime) else value
        for name, value in event.model_dump(include=set(template.names)).items()
    }
    if PLACE in template.names:
        facts[PLACE] = path_name(event.division or CITY)
    return facts


def said(event: Event, template: Template) -> dict[Language, Text]:
    """What is said about an event, in every language: stored with the message, whose words never change."""
    facts = facts_of(event, template)
    return {"zh": template.text("zh", facts), "en": template.text("en", facts)}


def words_of(message: Message, language: Language) -> Text:
    """A message in a language. One from before the words were kept is made from its facts."""
    if language in message.said:
        return Text(*message.said[language])
    template = TEMPLATES.get(message.template)
    if template is None:
        return GONE[language == "en"]
    return template.text(language, _Known(message.facts))


def kind_shown(message: Message) -> str:
    """What a message is sorted by."""
    known = message.kind or kind_of(message.template)
    return known if message.kind or message.template in TEMPLATES else "earlier"


class _Known(dict[str, Any]):
    """Facts, where those that were not kept are left open."""

    def __missing__(self, _: str) -> str:
        return "…"
