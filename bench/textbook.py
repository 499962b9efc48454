"""The textbook: a transaction outbox, a polling relay, an inbox and a transaction per message."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import BaseModel
from starlette.applications import Starlette

from bench.projection import TABLE, row_of
from shared.log.archive import partition_of
from shared.log.broker import Broker
from shared.log.kafka_clients import create_topics
from shared.log.wire import from_record, to_headers, topic_of
from shared.model.documents import Document
from shared.model.events import Envelope
from shared.mongo.driver import Bson, DuplicateKeyError, connect, transaction
from shared.settings import Settings
from shared.store.store import Store

OUTBOX = "outbox"
POLL = 0.1


class TextbookStore(Store):
    """State and outbox row in one multi-document transaction, one a command. Knows inserts only."""

    async def prepare(self, models: Any) -> None:
        await super().prepare(models)
        await self.database[OUTBOX].create_index([("sent", 1), ("_id", 1)])

    async def commit(self, document: Document, answer: Callable[[Any], BaseModel] | None = None) -> Any:
        write = await self._prepare(document, answer)
        assert write.is_insert
        stored: Bson = {"_id": document.id, **write._fields}
        async with transaction(self.client) as session:
            await self.collection(type(document)).insert_one(stored, session=session)
            for entry in write._outbox:
                row = {"_id": entry["id"], "sent": False, **entry}
                await self.database[OUTBOX].insert_one(row, session=session)
        write.done()
        return answer(document) if answer else document


async def relay(store: Store, settings: Settings) -> None:
    """Poll the outbox; send one message, mark it sent, then the next."""
    assert settings.kafka_bootstrap_servers
    bootstrap, topic = settings.kafka_bootstrap_servers, topic_of(settings.database_prefix, store.service)
    outbox = store.database[OUTBOX]
    await create_topics(Broker(bootstrap), [topic], 1)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        while True:
            rows = await outbox.find({"sent": False}, sort=[("_id", 1)], limit=100).to_list(None)
            for row in rows:
                await _send(producer, topic, row, store.service)
                await outbox.update_one({"_id": row["_id"]}, {"$set": {"sent": True}})
            if not rows:
                await asyncio.sleep(POLL)


async def _send(producer: Any, topic: str, row: Bson, source: str) -> None:
    partition = partition_of(row["subject"])
    found = {name: row[name] for name in Envelope._fields if name in row}
    event = Envelope(**found, source=source, partition=partition)
    await producer.send_and_wait(
        topic,
        event.data.encode(),
        key=event.subject.encode(),
        partition=partition,
        headers=to_headers(event, 0),
    )


def projecting(settings: Settings) -> Starlette:
    """An application that only consumes."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(_project(settings))
        yield
        task.cancel()

    return Starlette(lifespan=lifespan)


async def _project(settings: Settings) -> None:
    assert settings.mongodb_uri and settings.kafka_bootstrap_servers
    client = connect(settings.mongodb_uri)
    database = client[f"{settings.database_prefix}_bench"]
    for name in (TABLE, "inbox"):
        await database.create_collection(name)
    topic = topic_of(settings.database_prefix, "pledges")
    await create_topics(Broker(settings.kafka_bootstrap_servers), [topic], 1)
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=topic,
        auto_offset_reset="earliest",
    ) as consumer:
        async for record in consumer:
            event, _ = from_record(record)
            row = row_of(event.division, event.partition)
            try:
                async with transaction(client) as session:
                    await database["inbox"].insert_one({"_id": event.id}, session=session)
                    await database[TABLE].update_one(
                        {"_id": row}, {"$inc": {"events": 1}}, upsert=True, session=session
                    )
            except DuplicateKeyError:  # delivered before
                continue
