"""What the notifier does with personal data: persons are those of other services, and only forgotten here."""

from typing import Any

from shared.http.persons import PersonalData

from .domain.messages import Message
from .templates import kind_shown, words_of


def _shown(message: Message) -> dict[str, Any]:
    """A message as its reader knows it: the template's name would say too much about a patient."""
    title, text = words_of(message, "zh")
    kept = message.model_dump(mode="json", include={"id", "version", "recipient", "at", "read_at"})
    return kept | {"kind": kind_shown(message), "title": title, "text": text}


personal = PersonalData(own_keys=False, shown={Message: _shown})
