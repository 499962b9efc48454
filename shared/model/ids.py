"""Identifiers: time-ordered UUIDs, so that new documents land together in an index."""

import uuid_utils


def new_id() -> str:
    """A UUIDv7 as 32 hexadecimal digits."""
    return uuid_utils.uuid7().hex
