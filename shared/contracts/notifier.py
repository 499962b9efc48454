"""Events of `notifier` (消息与看板)."""

from shared.model.events import Event
from shared.model.personal import PersonId


class ContactForgotten(Event, name="contact.forgotten"):
    """A person was erased: no phone leads to their inbox any more."""

    person: PersonId
