"""CloudEvents 1.0 on Kafka, binary mode: attributes as `ce_` headers, the data as the value.

Extensions: `sequence` (aggregate version), `traceparent`, `division`, `cause`,
`position` (in the archive) and
`previous` (the position of the record before it in the partition, by which a reader notices a gap).
"""

from datetime import datetime
from typing import Any

from shared.log.archive import partition_of
from shared.model.events import Envelope

MAX_POSITION = 2**62
"""Above every position; MongoDB counts to 2**63."""
CONTENT_TYPE = ("content-type", b"application/json")
Headers = list[tuple[str, bytes]]


def topic_of(prefix: str, source: str) -> str:
    """One topic per service, under the same prefix as the databases it is filled from."""
    return f"{prefix}.{source}"


def source_of(topic: str) -> str:
    """The service whose topic it is."""
    return topic.rpartition(".")[2]


def to_headers(event: Envelope, previous: int) -> Headers:
    """The attributes of an event as Kafka headers."""
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_source", f"/{event.source}".encode()),
        ("ce_type", event.type.encode()),
        ("ce_subject", event.subject.encode()),
        ("ce_time", event.time.isoformat().encode()),
        CONTENT_TYPE,
        ("ce_sequence", b"%d" % event.sequence),
        ("ce_position", b"%d" % event.position),
        ("ce_previous", b"%d" % previous),
    ]
    if event.division:
        headers.append(("ce_division", event.division.encode()))
    if event.cause:
        headers.append(("ce_cause", event.cause.encode()))
    if event.traceparent:
        headers.append(("ce_traceparent", event.traceparent.encode()))
    return headers


class Foreign(ValueError):
    """A record that is no event of ours: another's content, or one that cannot be where it stands."""


def from_record(record: Any) -> tuple[Envelope, int]:
    """The event in a Kafka record, and the position before it, whatever a record can hold. Raises Foreign.

    What it says of itself fits together then; whether the archive has such an event, it does not tell.
    """
    try:
        event, previous = _read(record)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Foreign(f"{type(error).__name__}: {error}"[:200]) from None
    if not 0 <= previous <= event.position < MAX_POSITION or not 0 <= event.sequence < MAX_POSITION:
        raise Foreign("a position that cannot be")
    if record.partition != partition_of(event.subject) or record.key != event.subject.encode():
        raise Foreign("its key belongs elsewhere")
    return event, previous


def _read(record: Any) -> tuple[Envelope, int]:
    attributes = {name: value.decode() for name, value in record.headers}
    if len(attributes) != len(record.headers):
        raise ValueError("an attribute twice")
    source, time = source_of(record.topic), datetime.fromisoformat(attributes["ce_time"])
    if attributes["ce_source"] != f"/{source}" or time.tzinfo is None:
        raise ValueError("another source, or no time")
    envelope = Envelope(
        attributes["ce_id"],
        attributes["ce_type"],
        attributes["ce_subject"],
        int(attributes["ce_sequence"]),
        time,
        record.value.decode(),
        attributes.get("ce_division"),
        attributes.get("ce_traceparent"),
        attributes.get("ce_cause"),
        source,
        int(attributes["ce_position"]),
        record.partition,
    )
    return envelope, int(attributes["ce_previous"])
