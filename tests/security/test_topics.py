"""Topics: other city systems read what a service says is open, and nothing that nobody thought of."""

from jinguo.kafka_rights import PREFIXED, SUBSCRIBER, rights
from jinguo.services import SERVICES
from shared.log.wire import topic_of
from shared.service import Service

PREFIX = "town"


def read_by_others(services: list[Service]) -> set[str]:
    """The topics that a right of the other systems names; one by prefix fails the test."""
    theirs = [right for right in rights(PREFIX, services) if f"User:{SUBSCRIBER}" in right]
    for right in theirs:
        assert not {"Write", "Create", "Alter", "Delete", "All"} & {*right}
        assert not ({*PREFIXED} < {*right} and "--topic" in right)
    return {right[at + 1] for right in theirs for at, word in enumerate(right) if word == "--topic"}


def test_a_service_that_does_not_say_so_is_read_by_no_other_system() -> None:
    silent, said = (
        Service(name="families", title="家庭"),
        Service(name="gardens", title="菜园", open_topic="why"),
    )
    assert read_by_others([silent]) == set()
    assert read_by_others([silent, said]) == {topic_of(PREFIX, "gardens")}


def test_what_is_open_says_why_in_both_languages_and_is_nothing_about_health_or_messages() -> None:
    opened = {service.name: service.open_topic for service in SERVICES if service.open_topic}
    assert opened.keys() == {"pledges"}
    assert all(" / " in why for why in opened.values())
    assert read_by_others(list(SERVICES)) == {topic_of(PREFIX, name) for name in opened}
