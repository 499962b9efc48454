"""What somebody in a hurry writes by hand: a bare producer, and a consume loop for one projection."""

import asyncio
import time
from collections import defaultdict
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.city.divisions import county_of
from shared.consumers.runtime import BATCH
from shared.log.archive import partition_of
from shared.log.broker import Broker
from shared.log.kafka_clients import create_topics
from shared.log.wire import to_headers
from shared.model.events import Envelope
from shared.mongo.driver import Bson, Database, InsertOne, UpdateOne, transaction


async def produce(bootstrap: str, topic: str, documents: list[Bson]) -> float:
    """Records a second: send them all, then wait for all acknowledgements."""
    await create_topics(Broker(bootstrap), [topic], 1)
    records = [_record(document["outbox"][0]) for document in documents]
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=512 * 1024
    ) as producer:
        await producer.partitions_for(topic)
        began = time.perf_counter()
        acks = [await producer.send(topic, **record) for record in records]
        await asyncio.gather(*acks)
        return len(records) / (time.perf_counter() - began)


def _record(entry: Bson) -> dict[str, Any]:
    event = Envelope(**entry, source="pledges")
    return {
        "key": event.subject.encode(),
        "value": event.data.encode(),
        "partition": partition_of(event.subject),
        "headers": to_headers(event, 0),
    }


async def project(bootstrap: str, topic: str, database: Database, many: int) -> float:
    """Seconds from the first batch to the last commit: inbox, cursor and folded counts in one transaction."""
    for name in ("inbox", "cursors", "cells"):
        await database.create_collection(name)
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=database.name,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=200,
        max_partition_fetch_bytes=2 * 1024 * 1024,
    ) as consumer:
        done, began = 0, 0.0
        while done < many:
            found = await consumer.getmany(timeout_ms=500, max_records=BATCH)
            began = began or (time.perf_counter() if found else 0.0)
            if found:
                await _commit(database, found)
                done += sum(map(len, found.values()))
        return time.perf_counter() - began


async def _commit(database: Database, found: dict[Any, list[Any]]) -> None:
    inbox, cursors = [], []
    cells: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for partition, records in found.items():
        for record in records:
            headers = dict(record.headers)
            inbox.append(InsertOne({"_id": headers["ce_id"].decode()}))
            event = orjson.loads(record.value)
            cell = cells[f"{county_of(event['division'])}:{event['day']}:{record.partition}"]
            cell["signed"] += 1
            cell["members"] += event["members"]
        cursor = {"$set": {"offset": records[-1].offset + 1}}
        cursors.append(UpdateOne({"_id": partition.partition}, cursor, upsert=True))
    counts = [UpdateOne({"_id": cell}, {"$inc": dict(add)}, upsert=True) for cell, add in cells.items()]
    async with transaction(database.client) as session:
        await database["inbox"].bulk_write(inbox, ordered=False, session=session)
        await database["cursors"].bulk_write(cursors, ordered=False, session=session)
        await database["cells"].bulk_write(counts, ordered=False, session=session)
