"""What a log is to the consumer runtime and to the relay."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from shared.model.events import Envelope
from shared.mongo.lease import Lease


class Cursor(NamedTuple):
    """How far a consumer group is in one partition of one source."""

    position: int = 0
    """The archive position of the last event whose effects are committed: the truth."""
    resume: int | None = None
    """Where the log may go on reading: a hint that only the log which wrote it understands."""


Partition = tuple[str, int]
"""(source, partition)."""
LoadCursors = Callable[[Sequence[Partition]], Awaitable[Mapping[Partition, Cursor]]]


class Slice(NamedTuple):
    """Consecutive new events of one partition: in order, nothing left out, nothing twice."""

    source: str
    partition: int
    after: int
    """The cursor position they follow."""
    events: list[Envelope]
    resume: int | None
    """The hint to store with the cursor; None leaves the stored one, which is then an earlier one."""


class Subscription(Protocol):
    """One consumer group's reading of some sources."""

    async def fetch(self, limit: int, wait: float) -> list[Slice]:
        """Up to about `limit` new events, as soon as there are any; nothing after `wait` seconds."""
        ...

    async def rewind(self) -> None:
        """Go back to the stored cursors: what was fetched and not committed comes again."""
        ...

    async def stalled(self) -> bool:
        """Whether a partition of ours stands still although its archive holds more, since the last call."""
        ...

    async def close(self) -> None:
        """Give everything up, within a bounded time."""
        ...


class Log(Protocol):
    """Where consumers read what the archives hold."""

    name: str

    def subscribe(self, group: str, sources: Sequence[str], cursors: LoadCursors) -> Subscription:
        """Read `sources` as `group`; each partition is read by one member of the group at a time."""
        ...

    def archived(self, source: str, head: int) -> None:
        """A hint: the archive of `source` now ends at `head`."""
        ...

    async def publish_forever(self, source: str, lease: Lease) -> None:
        """Bring what the archive of `source` holds to the consumers, while the lease is held."""
        ...

    async def unpublished(self, source: str) -> int:
        """How many archived events of `source` are still to be brought there. Raises PyMongoError."""
        ...

    async def healthy(self) -> bool:
        """Whether the log can be reached now."""
        ...

    async def close(self) -> None:
        """Give everything up, within a bounded time."""
        ...
