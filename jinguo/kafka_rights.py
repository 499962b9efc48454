"""What each user of Kafka may do: arguments of `kafka-acls.sh --add`, one list for each call.

A service reads all topics and writes its own. It creates those of others too: it may come up first, and
reads them from the start. Other systems read in groups of their own, and nothing about anybody's health.
"""

from collections.abc import Sequence

from jinguo.services import SERVICES
from shared.log.wire import topic_of

OPERATOR, SUBSCRIBER = "operator", "city"
"""Who runs the tool; the other city systems, which read topics."""
ABOUT_HEALTH = {"referrals"}
"""Services whose events say that somebody is ill, if not who."""
PREFIXED = "--resource-pattern-type", "prefixed"


def rights(prefix: str) -> list[list[str]]:
    """Of the services, the operator and the other city systems; whatever is not said here is refused."""
    services = [service.name for service in SERVICES]
    topics, groups = ["--topic", f"{prefix}."], ["--group", f"{prefix}."]
    return [
        [*_may(services, "Read", "Describe"), *PREFIXED, *topics, *groups],
        [*_may(services, "Create"), *PREFIXED, *topics],
        *([*_may([service], "Write"), "--topic", topic_of(prefix, service)] for service in services),
        [*_may([OPERATOR], "All"), *PREFIXED, *topics, *groups],
        [*_may([SUBSCRIBER], "Read", "Describe"), *PREFIXED, "--group", SUBSCRIBER],
        [*_may([SUBSCRIBER], "Read", "Describe"), *_topics(prefix, set(services) - ABOUT_HEALTH)],
    ]


def _topics(prefix: str, services: set[str]) -> list[str]:
    return [part for service in sorted(services) for part in ("--topic", topic_of(prefix, service))]


def _may(users: Sequence[str], *operations: str) -> list[str]:
    who = [part for user in users for part in ("--allow-principal", f"User:{user}")]
    return [*who, *(part for operation in operations for part in ("--operation", operation))]
