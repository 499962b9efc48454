"""What every log must do, tried on both: the archives in MongoDB themselves, and Apache Kafka."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from shared.consumers import runtime as runtime_module
from shared.consumers.cursors import CursorMoved, Cursors
from shared.consumers.declare import Consumer
from shared.consumers.parking import NEVER, Parking
from shared.consumers.runtime import Runtime
from shared.consumers.transaction import Transaction
from shared.host import Host
from shared.log.archive import Fenced, partition_of
from shared.log.interface import Cursor, Partition, Slice, Subscription
from shared.log.kafka_clients import bounded
from shared.log.kafka_publisher import REFILL
from shared.log.relay import Relay
from shared.log.wire import topic_of
from shared.mongo.driver import PyMongoError, in_transaction, transaction
from shared.mongo.lease import Lease
from shared.store.store import Store
from tests.kit.kafka_broker import KafkaBroker
from tests.kit.waiting import eventually
from tests.shared import toy
from tests.shared.toy import POISON, Account, counted, entries, paid, positions, settled
from tests.shared.toy_hosts import Hosts

KEYS = [f"acc{number:02}" for number in range(10)]


def store_of(host: Host) -> Store:
    return host.stores["ledger"]


def running(host: Host, group: str) -> Runtime:
    return next(runtime for runtime in host.runtimes if runtime.consumer.group == group)


async def archived(host: Host, count: int) -> None:
    async def there() -> bool:
        return await host.archives["ledger"].head() >= count

    await eventually(there, 10, f"{count} events archived")


async def all_counted(store: Store, count: int, seconds: float = 20) -> None:
    async def there() -> bool:
        return await counted(store) == count

    await eventually(there, seconds, f"{count} payments counted")


async def stated(store: Store, expected: dict[str, list[int]], seconds: float = 20) -> None:
    async def there() -> bool:
        return await entries(store, *expected) == list(expected.values())

    await eventually(there, seconds, f"statements {expected}")


async def fetched(subscription: Subscription, events: int) -> list[Slice]:
    """Slices with so many events in all."""
    found: list[Slice] = []

    async def enough() -> bool:
        for piece in await subscription.fetch(100, 0.2):
            # After a rebalance what was not committed comes again: it takes the place of what came before.
            key = (piece.source, piece.partition)
            found[:] = [old for old in found if (old.source, old.partition) != key or old.after < piece.after]
            found.append(piece)
        return sum(len(piece.events) for piece in found) >= events

    await eventually(enough, 20, f"{events} events fetched")
    return found


@asynccontextmanager
async def reading(host: Host, runtime: Runtime) -> AsyncIterator[Subscription]:
    subscription = host.log.subscribe(runtime.consumer.group, ["ledger"], runtime.cursors.load)
    try:
        yield subscription
    finally:
        await subscription.close()


async def by_hand(host: Host, consumer: Consumer) -> Runtime:
    """A consumer group that the test itself drives."""
    runtime = Runtime(consumer, store_of(host), host.log)
    await runtime.prepare()
    return runtime


async def smuggle(store: Store, account_id: str, event_type: str, data: str) -> str:
    """Put an event of a foreign make into an account's outbox, as a newer or broken writer would."""
    [row] = await store.collection(Account).find({"_id": account_id}).to_list(None)
    version = row["version"] + 1
    entry = {"id": f"{account_id}.{version}.0", "type": event_type, "subject": account_id}
    entry |= {"sequence": version, "time": datetime.now(UTC), "data": data}
    entry |= {"division": None, "traceparent": None, "cause": None}
    change = {"$push": {"outbox": entry}, "$set": {"version": version}}
    await store.collection(Account).update_one({"_id": account_id}, change)
    return f"{account_id}.{version}.0"


# ── order, and every effect once ─────────────────────────────────────────────────────────────────────


async def test_every_event_takes_effect_once_and_in_order_of_its_key(hosts: Hosts) -> None:
    host = await hosts.start()
    await asyncio.gather(*(paid(store_of(host), *[key] * 8) for key in KEYS))
    await settled(host)
    assert await entries(store_of(host), *KEYS) == [list(range(1, 9))] * len(KEYS)
    assert await counted(store_of(host)) == 80


async def test_a_batch_delivered_twice_takes_effect_once(hosts: Hosts) -> None:
    host = await hosts.start(toy.source_only)
    runtime = await by_hand(host, toy.totals)
    await paid(store_of(host), *KEYS)
    await archived(host, len(KEYS))
    async with reading(host, runtime) as subscription:
        slices = await fetched(subscription, len(KEYS))
        await subscription.rewind()
        again = await fetched(subscription, len(KEYS))
        await runtime.process(slices)
        with pytest.raises(CursorMoved):
            await runtime.process(again)
        await subscription.rewind()
        await paid(store_of(host), "late")
        [piece] = await fetched(subscription, 1)
        assert [event.subject for event in piece.events] == ["late"]
    assert await counted(store_of(host)) == len(KEYS)


async def test_of_two_members_with_the_same_batch_one_commits(hosts: Hosts) -> None:
    host = await hosts.start(toy.source_only)
    one, other = await by_hand(host, toy.totals), await by_hand(host, toy.totals)
    await paid(store_of(host), *KEYS)
    await archived(host, len(KEYS))
    async with reading(host, one) as subscription:
        slices = await fetched(subscription, len(KEYS))
        results = await asyncio.gather(one.process(slices), other.process(slices), return_exceptions=True)
    assert sorted(type(result) for result in results if result) == [CursorMoved]
    assert await counted(store_of(host)) == len(KEYS)


async def test_two_replicas_share_the_work_and_nothing_doubles(hosts: Hosts) -> None:
    first, second = await hosts.start(), await hosts.start()
    for _ in range(3):
        await asyncio.gather(
            *(paid(store_of(host), *KEYS[half::2]) for half, host in ((0, first), (1, second)))
        )
    await settled(first)
    assert await entries(store_of(first), *KEYS) == [[1, 2, 3]] * len(KEYS)
    assert await counted(store_of(first)) == 30


async def test_a_new_group_reads_from_the_first_event(hosts: Hosts) -> None:
    host = await hosts.start()
    await paid(store_of(host), *KEYS, *KEYS)
    await settled(host)
    late = Consumer("ledger.late", tables={"late": ()})

    @late.on(toy.PaidIn)
    async def count(event: toy.PaidIn, tx: Transaction) -> None:
        tx.add("late", "all", count=1)

    runtime = await by_hand(host, late)
    async with reading(host, runtime) as subscription:
        await runtime.process(await fetched(subscription, 20))
    [row] = await store_of(host).database["late"].find().to_list(None)
    assert row["count"] == 20


async def test_the_cursor_survives_a_restart(hosts: Hosts) -> None:
    host = await hosts.start()
    await paid(store_of(host), *KEYS)
    await settled(host)
    before = await positions(host, "ledger.totals")
    await hosts.stop(host)
    host = await hosts.start()
    assert await positions(host, "ledger.totals") == before
    await paid(store_of(host), *KEYS)
    await settled(host)
    assert await entries(store_of(host), *KEYS) == [[1, 2]] * len(KEYS)
    assert await counted(store_of(host)) == 20


async def test_events_of_an_unknown_type_are_skipped(hosts: Hosts) -> None:
    host = await hosts.start()
    store = store_of(host)
    await paid(store, "acc")
    await smuggle(store, "acc", "cn.quzhou.women.ledger.merged.v7", '{"into": "other"}')
    account = await store.load(Account, "acc")
    account.record(toy.Frozen(why="known, but nobody reacts to it"))
    await store.commit(account)
    await paid(store, "acc")
    await settled(host)
    assert await entries(store, "acc") == [[1, 4]]
    assert await running(host, "ledger.statements").parking.count() == 0


# ── parking ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_poisoned_event_holds_back_its_own_key_only(hosts: Hosts) -> None:
    host = await hosts.start()
    store, parking = store_of(host), running(host, "ledger.statements").parking
    POISON.add("acc00.2.0")
    for _ in range(3):
        await paid(store, *KEYS)
    await settled(host)
    assert await entries(store, *KEYS) == [[1]] + [[1, 2, 3]] * (len(KEYS) - 1)
    rows = await parking.list()
    assert [row["event"]["id"] for row in rows] == ["acc00.2.0", "acc00.3.0"]
    assert rows[0]["reason"] == "Poisoned: acc00.2.0"
    assert rows[1]["reason"] is None


async def test_a_parked_event_is_retried_by_itself_and_brings_its_successors_in_order(hosts: Hosts) -> None:
    host = await hosts.start()
    store, parking = store_of(host), running(host, "ledger.statements").parking
    POISON.add("acc.2.0")
    await paid(store, *["acc"] * 5)
    await settled(host)
    assert await entries(store, "acc") == [[1]]
    assert await parking.count() == 4
    POISON.clear()
    await stated(store, {"acc": [1, 2, 3, 4, 5]})
    await all_counted(store, 5)
    await eventually(lambda: _is_empty(parking))


async def test_retry_tries_at_once_what_was_given_up(hosts: Hosts) -> None:
    host = await hosts.start()
    store, parking = store_of(host), running(host, "ledger.statements").parking
    POISON.add("acc.1.0")
    await paid(store, "acc", "acc")
    await settled(host)
    head = "ledger.statements/ledger/1"
    await store.database["parked"].update_one({"_id": head}, {"$set": {"next_try": NEVER}})
    POISON.clear()
    assert await parking.retry(head)
    await stated(store, {"acc": [1, 2]}, 5)


async def test_skip_gives_an_event_up_and_lets_its_successors_go_on(hosts: Hosts) -> None:
    host = await hosts.start()
    store, parking = store_of(host), running(host, "ledger.statements").parking
    POISON.add("acc.2.0")
    await paid(store, *["acc"] * 4)
    await settled(host)
    [head, *_] = await parking.list()
    assert await parking.skip(head["_id"])
    await stated(store, {"acc": [1, 3, 4]}, 10)
    await eventually(lambda: _is_empty(parking))
    await paid(store, "acc")
    await stated(store, {"acc": [1, 3, 4, 5]})


async def test_many_successors_of_one_key_do_not_keep_other_keys_from_their_retry(hosts: Hosts) -> None:
    host = await hosts.start()
    store, parking = store_of(host), running(host, "ledger.totals").parking
    POISON.update({"crowd.1.0", "single.1.0"})
    await paid(store, *["crowd"] * 120)
    await paid(store, "single")
    await settled(host)
    assert await parking.count() == 121
    POISON.remove("single.1.0")
    await all_counted(store, 1, 10)


UNREADABLE = {
    "not JSON": "{",
    "not its model": '{"amount": "many"}',
    "not its box": '{"amount": 1, "owner": "OWNER", "sealed": "bm90IGEgYm94IGF0IGFsbCwgdHJ1bHk="}',
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_data_that_cannot_be_read_parks(hosts: Hosts, data: str) -> None:
    host = await hosts.start()
    store, parking = store_of(host), running(host, "ledger.statements").parking
    await paid(store, "acc")
    data = data.replace("OWNER", await host.vault.new_person())
    bad = await smuggle(store, "acc", toy.PaidIn.type, data)
    await paid(store, "acc", *KEYS)
    await settled(host)
    assert await entries(store, "acc", *KEYS) == [[1]] + [[1]] * len(KEYS)
    [head, behind] = await parking.list()
    assert head["event"]["id"] == bad
    assert head["reason"].startswith("UnreadableEvent")
    assert await parking.skip(head["_id"])
    await stated(store, {"acc": [1, 3]}, 10)
    assert behind["event"]["sequence"] == 3


async def test_effects_the_database_refuses_park_their_event_only(hosts: Hosts) -> None:
    host = await hosts.start(toy.source_only)
    picky = Consumer("ledger.picky", tables={"picky": ()})

    @picky.on(toy.PaidIn)
    async def refuse_some(event: toy.PaidIn, tx: Transaction) -> None:
        values = {"seen": 1} | ({"seen.twice": 1} if event.envelope.subject == "acc03" else {})
        tx.put("picky", event.envelope.subject, **values)

    runtime = await by_hand(host, picky)
    await paid(store_of(host), *KEYS, *KEYS)
    await archived(host, 20)
    async with reading(host, runtime) as subscription:
        await runtime.process(await fetched(subscription, 20))
    rows = await store_of(host).database["picky"].find().to_list(None)
    assert {row["_id"] for row in rows} == {*KEYS} - {"acc03"}
    assert [row["event"]["id"] for row in await runtime.parking.list()] == ["acc03.1.0", "acc03.2.0"]


async def test_a_crash_while_a_refused_event_is_looked_for_loses_nothing(hosts: Hosts) -> None:
    host = await hosts.start(toy.source_only)
    runtime = await by_hand(host, toy.totals)
    await paid(store_of(host), *KEYS, *KEYS)
    await archived(host, 20)
    async with reading(host, runtime) as subscription:
        await fetched(subscription, 20)
        await subscription.rewind()  # now all is there at once
        slices = await fetched(subscription, 20)
        part = next(piece for piece in slices if len(piece.events) > 1 and piece.after == 0)
        await runtime._isolate([part], {}, PyMongoError("as if the batch had been refused"))
    # … and there the process ends; the next one finds the rest.
    heir = await by_hand(host, toy.totals)
    async with reading(host, heir) as subscription:
        await heir.process(await fetched(subscription, 20 - len(part.events)))
    assert await counted(store_of(host)) == 20


async def test_a_slow_handler_commits_in_parts_that_fit_a_transaction(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "BATCH_SECONDS", 0.05)
    host = await hosts.start(toy.source_only)
    slow = Consumer("ledger.slow", tables={"slow": ()})

    @slow.on(toy.PaidIn)
    async def count(event: toy.PaidIn, tx: Transaction) -> None:
        await asyncio.sleep(0.01)
        tx.add("slow", "all", count=1)

    runtime = await by_hand(host, slow)
    await paid(store_of(host), *KEYS, *KEYS)
    await archived(host, 20)
    async with reading(host, runtime) as subscription:
        await runtime.process(await fetched(subscription, 20))
    [row] = await store_of(host).database["slow"].find().to_list(None)
    assert row["count"] == 20
    assert sum((await runtime.cursors.positions())["ledger"].values()) > 0
    assert await store_of(host).database["batches"].count_documents({"group": "ledger.slow"}) > 1


async def _is_empty(parking: Parking) -> bool:
    return await parking.count() == 0


# ── rebuilding ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_rebuilt_generation_leaves_the_live_one_alone_until_the_switch(hosts: Hosts) -> None:
    host = await hosts.start()
    store = store_of(host)
    await paid(store, *KEYS)
    await settled(host)
    await store.database["totals"].update_one({"_id": "all"}, {"$inc": {"count": 1000}})  # a fault of old

    rebuilt = await by_hand(host, toy.totals)
    cursors = rebuilt.cursors
    cursors.generation = 1

    async def load(keys: Sequence[Partition]) -> Mapping[Partition, Cursor]:
        return await cursors.of_generation(keys, 1)

    subscription = host.log.subscribe("ledger.totals@1", ["ledger"], load)

    async def caught_up() -> bool:
        if slices := await subscription.fetch(100, 0.2):
            try:
                await rebuilt.process(slices)
            except (
                CursorMoved
            ):  # a rebalance brought again what was committed: as the runtime, go on from there
                await subscription.rewind()
        return await counted(store, generation=1) == 1 + len(KEYS)

    await paid(store, "meanwhile")
    await all_counted(store, 1011)
    await eventually(caught_up)
    await subscription.close()
    assert await counted(store, generation=1) == 11
    assert await counted(store) == 1011

    async with transaction(store.client) as session:
        await cursors.switch(1, session)
    await paid(store, *KEYS)

    async def follows() -> bool:
        return await counted(store, generation=1) == 21

    await eventually(follows)
    assert await counted(store) == 1011


async def test_after_a_switch_parked_events_are_retried_into_the_live_generation(hosts: Hosts) -> None:
    host = await hosts.start()
    store, runtime = store_of(host), running(host, "ledger.totals")
    await paid(store, "good")
    await settled(host)
    POISON.add("bad.1.0")
    await paid(store, "bad")
    await settled(host)
    # The group goes on in generation 1 without any new event that would tell the running member.
    cursors = Cursors(store.database, "ledger.totals", host.log.name)
    keys = [("ledger", partition) for partition in range(12)]
    await cursors.of_generation(keys, 1)
    for partition, position in (await positions(host, "ledger.totals")).items():
        await store.database["cursors"].update_one(
            {"_id": cursors._id(("ledger", partition), 1)}, {"$set": {"position": position}}
        )
    async with transaction(store.client) as session:
        await cursors.switch(1, session)
    POISON.clear()
    await eventually(lambda: _is_empty(runtime.parking))
    assert await counted(store, generation=1) == 1
    assert await counted(store) == 1


async def test_a_switch_waits_for_a_retry_that_is_under_way(hosts: Hosts) -> None:
    host = await hosts.start()
    store, cursors = store_of(host), running(host, "ledger.totals").cursors
    await in_transaction(store.client, cursors.hold)  # the row exists: who writes it first is first
    async with transaction(store.client) as session:
        assert await cursors.hold(session) == 0
        switched = asyncio.ensure_future(
            in_transaction(store.client, lambda session: cursors.switch(1, session))
        )
        await asyncio.wait([switched], timeout=0.1)  # it runs into us
        assert not switched.done()
        assert await cursors.live() == 0
    await switched
    assert await cursors.live() == 1


# ── the relay ────────────────────────────────────────────────────────────────────────────────────────


def relay_by_hand(host: Host, holder: str) -> Relay:
    lease = Lease(store_of(host).database["leases"], "relay", holder, 3)
    return Relay(
        store_of(host), host.archives["ledger"], lease, lambda h: host.log.archived("ledger", h), watch=False
    )


async def test_a_relay_that_lost_its_lease_cannot_append(hosts: Hosts) -> None:
    host = await hosts.prepare()
    store, archive = store_of(host), host.archives["ledger"]
    stalled, successor = relay_by_hand(host, "stalled"), relay_by_hand(host, "successor")
    assert await stalled.lease.acquire()
    await paid(store, "acc")
    assert await stalled.once() == 1
    await paid(store, *KEYS)
    read = await stalled._waiting(Account).to_list(None)  # and here it stands still for longer than its lease
    assert not await successor.lease.acquire()
    await store.database["leases"].update_one({"_id": "relay"}, {"$set": {"ends": datetime(2000, 1, 1)}})
    assert await successor.lease.acquire()
    assert await successor.once() == len(KEYS)
    await paid(store, "acc")
    with pytest.raises(Fenced):
        await stalled._append(read)
    assert await successor.once() == 1
    events = await archive.read(0, 100)
    assert [event.position for event in events] == list(range(1, 13))
    assert len({event.id for event in events}) == 12
    assert [event.sequence for event in events if event.subject == "acc"] == [1, 2]


async def test_what_a_crash_left_archived_and_not_cleared_is_not_archived_twice(hosts: Hosts) -> None:
    host = await hosts.prepare()
    store, archive = store_of(host), host.archives["ledger"]
    await paid(store, *KEYS)
    crashed, heir = relay_by_hand(host, "relay"), relay_by_hand(host, "relay")
    documents = await crashed._waiting(Account).to_list(None)
    await archive.append(0, [entry for document in documents for entry in document["outbox"]][:4])
    await paid(store, *KEYS)
    assert await heir.lease.acquire()
    await heir.once()
    events = await archive.read(0, 100)
    assert len({event.id for event in events}) == len(events) == 20
    assert not await heir._waiting(Account).to_list(None)


async def test_another_replica_relays_within_5_s_after_the_holder_vanished(hosts: Hosts) -> None:
    host = await hosts.start()
    store = store_of(host)
    await paid(store, "acc")
    await settled(host)
    relay = next(task for task in host._tasks if task.get_name() == "ledger.relay")
    relay.cancel()  # as a crash would: the lease is not given back
    await asyncio.wait([relay])
    second = await hosts.start()
    began = time.monotonic()
    await paid(store_of(second), "acc")
    await archived(second, 2)
    assert time.monotonic() - began < 5
    await settled(second)
    assert await entries(store, "acc") == [[1, 2]]


leaks_connections = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""aiokafka leaves connections open in clients that are given up while the broker is away."""


# ── Kafka only ───────────────────────────────────────────────────────────────────────────────────────


async def records(bootstrap: str, topic: str) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, partition) for partition in range(12)]
        consumer.assign(partitions)
        expected = sum((await consumer.end_offsets(partitions)).values())
        found: list[Any] = []
        while len(found) < expected:
            for some in (await consumer.getmany(timeout_ms=1000)).values():
                found += some
        return found
    finally:
        await consumer.stop()


@leaks_connections
async def test_commands_succeed_while_the_broker_is_dead_and_all_arrive(
    fragile_hosts: Hosts, own_kafka: KafkaBroker
) -> None:
    host = await fragile_hosts.start()
    store = store_of(host)
    await paid(store, *KEYS)
    await settled(host)
    own_kafka.kill()
    try:
        await paid(store, *KEYS)
        await archived(host, 20)
    finally:
        await asyncio.to_thread(own_kafka.start)
    began = time.monotonic()
    await stated(store, {key: [1, 2] for key in KEYS}, 30)
    assert time.monotonic() - began < 15
    await settled(host)
    assert await counted(store) == 20


@leaks_connections
async def test_a_wiped_broker_is_refilled_and_nothing_takes_effect_twice(
    fragile_hosts: Hosts, own_kafka: KafkaBroker
) -> None:
    host = await fragile_hosts.start()
    store = store_of(host)
    await paid(store, *KEYS, *KEYS)
    await settled(host)
    own_kafka.wipe()
    try:
        await paid(store, *KEYS)
    finally:
        await asyncio.to_thread(own_kafka.start)
    await stated(store, {key: [1, 2, 3] for key in KEYS}, 30)
    await settled(host)
    assert await counted(store) == 30

    async def refilled() -> bool:  # nobody has waited for it
        found = await records(own_kafka.bootstrap, topic_of(fragile_hosts.settings.database_prefix, "ledger"))
        return len({dict(record.headers)["ce_id"] for record in found}) == 30

    await eventually(refilled, 30)


@leaks_connections
async def test_offsets_from_before_a_wipe_do_not_hide_events_from_after_it(
    fragile_hosts: Hosts, own_kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "STALL", 2.0)
    host = await fragile_hosts.start()
    store = store_of(host)
    await paid(store, *["acc"] * 5)
    await settled(host)
    published = host.client[f"{fragile_hosts.settings.database_prefix}_log"]["published"]
    await published.update_one({"_id": "ledger"}, {"$set": {REFILL: True}})  # now it holds every event twice
    topic = topic_of(fragile_hosts.settings.database_prefix, "ledger")

    async def cursor_is_past_both() -> bool:
        return len(await records(own_kafka.bootstrap, topic)) == 10

    await eventually(cursor_is_past_both)
    await paid(store, "acc")
    await settled(host)  # the cursors now resume at offset 11
    await fragile_hosts.stop(host)
    own_kafka.wipe()
    await asyncio.to_thread(own_kafka.start)
    host = await fragile_hosts.start()
    await paid(store_of(host), *["acc"] * 5)  # 11 events in all: the new topic ends at offset 11
    await stated(store_of(host), {"acc": list(range(1, 12))}, 20)


async def test_a_refill_that_is_asked_for_under_traffic_is_done(
    kafka_hosts: Hosts, kafka_bootstrap: str
) -> None:
    host = await kafka_hosts.start()
    store = store_of(host)
    await paid(store, *KEYS)
    await settled(host)
    published = host.client[f"{kafka_hosts.settings.database_prefix}_log"]["published"]
    topic = topic_of(kafka_hosts.settings.database_prefix, "ledger")
    asked = await published.update_one({"_id": "ledger"}, {"$set": {REFILL: True}})
    assert asked.matched_count == 1

    async def first_is_there_again() -> bool:
        await paid(store, *KEYS)  # it never comes to rest
        found = await records(kafka_bootstrap, topic)
        return sum(dict(record.headers)["ce_id"] == b"acc00.2.0" for record in found) == 2

    await eventually(first_is_there_again)
    await settled(host)
    heads = await host.archives["ledger"].head()
    assert await counted(store) == heads
    assert await host.log.unpublished("ledger") == 0
    assert not (await published.find_one({"_id": "ledger"}) or {}).get(REFILL)


async def test_spare_members_leave_the_others_alone_unless_nothing_gets_done(
    kafka_hosts: Hosts, kafka_bootstrap: str
) -> None:
    """One more than there are partitions: to join anew again and again would stop everybody each time."""
    host = await kafka_hosts.start(toy.source_only)
    runtime = await by_hand(host, toy.totals)
    members: list[Any] = [
        host.log.subscribe("ledger.totals", ["ledger"], runtime.cursors.load) for _ in range(13)
    ]

    async def each_has_its_own() -> bool:
        await asyncio.gather(*(member.fetch(100, 0.1) for member in members))
        sizes = sorted(len(member._consumer.assignment()) for member in members)
        return sizes == [0, *[1] * 12]

    try:
        await eventually(each_has_its_own, 60)
        [spare] = [member for member in members if not member._consumer.assignment()]
        assert not await spare.stalled()
        assert not await spare.stalled()
        await paid(store_of(host), *KEYS)
        await archived(host, len(KEYS))
        assert not await spare.stalled()  # they may just be about to
        await eventually(spare.stalled)
    finally:
        await asyncio.gather(*(member.close() for member in members))


async def test_records_are_cloud_events(kafka_hosts: Hosts, kafka_bootstrap: str) -> None:
    host = await kafka_hosts.start()
    store = store_of(host)
    account = Account(id="acc", owner=await host.vault.new_person(), phone="13905700000")
    account.pay(7)
    await store.commit(account)
    await settled(host)
    [record] = await records(kafka_bootstrap, topic_of(kafka_hosts.settings.database_prefix, "ledger"))
    event = from_kafka_event(KafkaMessage(dict(record.headers), record.key, record.value))
    assert event.get_specversion() == "1.0"
    assert event.get_type() == "cn.quzhou.women.ledger.paid-in.v1"
    assert (event.get_source(), event.get_id(), event.get_subject()) == ("/ledger", "acc.1.0", "acc")
    assert event.get_extension("sequence") == "1"
    assert event.get_extension("partitionkey") == "acc"
    assert event.get_time().tzinfo
    data: Any = event.get_data()
    assert data["amount"] == 7
    assert data["sealed"]
    assert "phone" not in data
    assert b"13905700000" not in record.value
    assert record.partition == partition_of("acc")


async def test_what_the_topic_has_lost_comes_from_the_archive(
    kafka_hosts: Hosts, kafka_bootstrap: str
) -> None:
    host = await kafka_hosts.start(toy.source_only)
    await paid(store_of(host), *["acc"] * 6)
    topic = topic_of(kafka_hosts.settings.database_prefix, "ledger")

    async def published() -> bool:
        return len(await records(kafka_bootstrap, topic)) == 6

    await eventually(published)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        partition = TopicPartition(topic, partition_of("acc"))
        await admin.delete_records({partition: RecordsToDelete(before_offset=4)})
    finally:
        await admin.close()
    runtime = await by_hand(host, toy.totals)
    async with reading(host, runtime) as subscription:
        [piece] = await fetched(subscription, 6)
    assert [event.sequence for event in piece.events] == [1, 2, 3, 4, 5, 6]


async def test_a_partition_taken_over_while_mongodb_was_away_is_noticed(
    kafka_hosts: Hosts, kafka_bootstrap: str
) -> None:
    host = await kafka_hosts.start(toy.source_only)
    runtime = await by_hand(host, toy.totals)
    away = False

    async def load(keys: Sequence[Partition]) -> Mapping[Partition, Cursor]:
        if away:
            raise PyMongoError("away")
        return await runtime.cursors.load(keys)

    one = host.log.subscribe("ledger.totals", ["ledger"], load)
    other = host.log.subscribe("ledger.totals", ["ledger"], load)
    reader: Any = one

    async def alone() -> bool:
        await one.fetch(100, 0.1)
        return len(reader._consumer.assignment()) == 12

    async def shared() -> bool:
        await asyncio.gather(one.fetch(100, 0.1), other.fetch(100, 0.1))
        return len(reader._consumer.assignment()) == 6

    try:
        await eventually(alone)
        await eventually(shared)
        away = True
        await other.close()
        await eventually(alone)
        away = False
        await paid(store_of(host), *KEYS)
        await archived(host, len(KEYS))
        await one.fetch(100, 0.1)
        assert await one.stalled()
    finally:
        await one.close()


async def test_a_broker_call_that_never_accepts_its_cancellation_is_left_behind() -> None:
    over = asyncio.Event()

    async def stubborn() -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    with pytest.raises(TimeoutError):
        await bounded(stubborn(), 0.01)
    over.set()
    await asyncio.sleep(0)


async def test_a_broker_call_that_was_cancelled_from_inside_does_not_cancel_its_caller() -> None:
    async def stop() -> None:
        raise asyncio.CancelledError

    with pytest.raises(TimeoutError):
        await bounded(stop(), 1)
