"""Words that must be found nowhere in clear, and everywhere that is looked for them."""

import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from bson import BSON

from jinguo.connection import Platform
from shared.log.wire import topic_of
from shared.model.events import PARTITIONS
from shared.mongo.driver import Client
from shared.settings import Settings


def disguises(word: str) -> Iterator[bytes]:
    """A word as it may lie about: plain, in JSON, in a URL, in base64 at any offset."""
    plain = word.encode()
    yield plain
    yield json.dumps(word)[1:-1].encode()
    yield quote(word).encode()
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + plain)
        yield whole[4 if offset else 0 : len(whole) // 4 * 4 - 4]


class Finder:
    """Looks for canaries in whatever it is shown; `found` says where each was seen."""

    def __init__(self, *words: str) -> None:
        every = {d for word in words for d in disguises(word) if len(d) > 6}
        self._pattern = re.compile(b"|".join(map(re.escape, sorted(every, key=len, reverse=True))))
        self.found: list[str] = []
        self.searched = 0

    def look(self, where: str, raw: bytes) -> None:
        """Search some bytes."""
        self.searched += 1
        if seen := self._pattern.search(raw):
            around = raw[max(0, seen.start() - 40) : seen.end() + 20]
            self.found.append(f"{where}: {around!r}")

    async def look_everywhere(self, platform: Platform, capfd: pytest.CaptureFixture[str]) -> None:
        """Databases, topics, and every line that was logged."""
        await self.look_in_databases(platform.client, platform.settings.database_prefix)
        if platform.settings.kafka_bootstrap_servers:
            for source in platform.archives:
                await self.look_in_kafka(platform.settings, source)
        told = capfd.readouterr()
        for line in (told.out + told.err).splitlines():
            self.look("log", line.encode())

    async def look_in_databases(self, client: Client, prefix: str) -> None:
        """Every document of every database of the platform, as it is stored."""
        for name in await client.list_database_names():
            if name.startswith(f"{prefix}_"):
                for collection in await client[name].list_collection_names():
                    async for document in client[name][collection].find():
                        self.look(f"{name}.{collection}", BSON.encode(document))

    async def look_in_kafka(self, settings: Settings, source: str) -> None:
        """Every record of a service's topic: key, headers and value."""
        async for record in records(settings, source):
            parts = [record.key, record.value, *(value for _, value in record.headers)]
            self.look(f"topic of {source}", b"\n".join(part for part in parts if part))

    async def look_at(self, http: httpx.AsyncClient, *paths: str) -> None:
        """What pages and routes answer."""
        for path in paths:
            answer = await http.get(path)
            assert answer.status_code < 500, path
            self.look(path, answer.content + repr(answer.headers).encode())


async def records(settings: Settings, source: str) -> AsyncIterator[Any]:
    """Everything on a service's topic."""
    topic = topic_of(settings.database_prefix, source)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        left = sum(ends.values())
        while left:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                left -= len(records)
                for record in records:
                    yield record
    finally:
        await consumer.stop()
