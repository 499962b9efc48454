"""The log on Apache Kafka. Only `shared.log.kafka*` and its broker know aiokafka.

aiokafka hangs in places when the broker is away, so every call has a deadline, and what failed is thrown
away and made anew instead of being trusted to recover.
"""

import asyncio
import importlib.util
from collections.abc import Sequence

import structlog

from shared.log.archive import Archives
from shared.log.broker import Broker
from shared.log.interface import LoadCursors
from shared.log.kafka_clients import bounded
from shared.log.kafka_publisher import Publisher
from shared.log.kafka_subscription import KafkaSubscription
from shared.log.wire import topic_of
from shared.mongo.lease import Lease

log = structlog.get_logger()


class KafkaLog:
    """Topics on a Kafka cluster; the archives stand behind them."""

    name = "kafka"

    def __init__(
        self, broker: Broker, archives: Archives, instance: str | None, *, replication: int = 1
    ) -> None:
        if importlib.util.find_spec("aiokafka.record._crecords") is None:
            log.warning("aiokafka runs without its C extension: a sixth of the throughput")
        self._broker = broker
        self._archives = archives
        self._instance = instance
        self._replication = replication
        self._publishers: dict[str, Publisher] = {}

    def _publisher(self, source: str) -> Publisher:
        if source not in self._publishers:
            prefix = self._archives.prefix
            state = self._archives.client[f"{prefix}_log"]["published"]
            self._publishers[source] = Publisher(
                self._broker,
                topic_of(prefix, source),
                self._archives[source],
                state,
                replication=self._replication,
            )
        return self._publishers[source]

    def subscribe(self, group: str, sources: Sequence[str], cursors: LoadCursors) -> "KafkaSubscription":
        """Join the consumer group `group` on the topics of `sources`."""
        archives, prefix = {source: self._archives[source] for source in sources}, self._archives.prefix
        return KafkaSubscription(
            self._broker, prefix, group, archives, cursors, self._instance, replication=self._replication
        )

    def archived(self, source: str, head: int) -> None:
        """Wake the publisher."""
        self._publisher(source).wake()

    async def publish_forever(self, source: str, lease: Lease) -> None:
        """Bring the archive to the topic."""
        await self._publisher(source).run(lease)

    async def unpublished(self, source: str) -> int:
        """See `Log.unpublished`."""
        return await self._publisher(source).unpublished()

    async def healthy(self) -> bool:
        """Whether a broker answers and publishing goes through."""
        if any(publisher.trouble for publisher in self._publishers.values()):
            return False
        host, _, port = self._broker.bootstrap.split(",")[0].rpartition(":")
        try:
            _, writer = await bounded(asyncio.open_connection(host, int(port)), 1)
        except OSError:
            return False
        writer.close()
        return True

    async def close(self) -> None:
        """Drop the producers."""
        for publisher in self._publishers.values():
            await publisher.disconnect()
