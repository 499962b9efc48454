"""What each user of Kafka may do: arguments of `kafka-acls.sh --add`, one list for each call.

A service reads all topics and writes its own. It creates those of others too: it may come up first, and
reads them from the start. Other systems read in groups of their own, and what a service declares as open.
"""

from collections.abc import Sequence

from jinguo.services import SERVICES
from shared.log.wire import topic_of
from shared.service import Service

OPERATOR, SUBSCRIBER = "operator", "city"
"""Who runs the tool; the other city systems, which read topics."""
PREFIXED = "--resource-pattern-type", "prefixed"


def rights(prefix: str, declared: Sequence[Service] = SERVICES) -> list[list[str]]:
    """Of the services, the operator and the other city systems; whatever is not said here is refused."""
    services = [service.name for service in declared]
    opened = [topic_of(prefix, service.name) for service in declared if service.open_topic]
    topics, groups = ["--topic", f"{prefix}."], ["--group", f"{prefix}."]
    return [
        [*_may(services, "Read", "Describe"), *PREFIXED, *topics, *groups],
        [*_may(services, "Create"), *PREFIXED, *topics],
        *([*_may([service], "Write"), "--topic", topic_of(prefix, service)] for service in services),
        [*_may([OPERATOR], "All"), *PREFIXED, *topics, *groups],
        [*_may([SUBSCRIBER], "Read", "Describe"), *PREFIXED, "--group", SUBSCRIBER],
        *([*_may([SUBSCRIBER], "Read", "Describe"), "--topic", topic] for topic in opened),
    ]


def _may(users: Sequence[str], *operations: str) -> list[str]:
    who = [part for user in users for part in ("--allow-principal", f"User:{user}")]
    return [*who, *(part for operation in operations for part in ("--operation", operation))]
