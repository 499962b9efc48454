"""Documents that handlers read and make: one query for a batch, and made once whatever comes again."""

from shared.consumers.declare import Consumer
from shared.consumers.runtime import Runtime
from shared.consumers.transaction import Transaction
from shared.host import Host
from tests.kit.waiting import eventually
from tests.shared import toy
from tests.shared.toy import Statement, opened, paid
from tests.shared.toy_hosts import Hosts

MANY = 20
reader, maker = Consumer("ledger.reader"), Consumer("ledger.maker")


@reader.on(toy.PaidIn, loads=lambda event: (Statement, event.envelope.subject))
async def write(event: toy.PaidIn, tx: Transaction) -> None:
    found = await tx.load(Statement, event.envelope.subject)
    statement = found or Statement(id=event.envelope.subject)
    statement.amount += event.amount
    tx.save(statement)


@maker.on(toy.PaidIn)
async def make(event: toy.PaidIn, tx: Transaction) -> None:
    receipt = Statement(id=f"receipt-{event.envelope.id}", amount=event.amount)
    receipt.record(toy.Frozen(why="a receipt was made"))
    await tx.create(receipt)


async def paid_into_many(hosts: Hosts) -> Host:
    """A host whose archive holds two payments into each of many accounts."""
    host = await hosts.start(toy.source_only)
    store, archive = host.stores["ledger"], host.archives["ledger"]
    accounts = [f"a{number}" for number in range(MANY)]
    await opened(store, *accounts)
    for account in accounts * 2:
        await paid(store, account)

    async def archived() -> bool:
        return await archive.head() == 2 * MANY

    await eventually(archived)
    return host


async def process_all(host: Host, consumer: Consumer) -> None:
    """One batch of all there is, from the first event."""
    runtime = Runtime(consumer, host.stores["ledger"], host.log)
    await runtime.prepare()
    subscription = host.log.subscribe(consumer.group, ["ledger"], runtime.cursors.load)
    slices = await subscription.fetch(1000, 0.2)
    assert sum(len(piece.events) for piece in slices) == 2 * MANY
    await runtime.process(slices)
    await subscription.close()


async def test_the_documents_of_a_batch_are_read_with_one_query(plain_hosts: Hosts) -> None:
    host = await paid_into_many(plain_hosts)
    database = host.stores["ledger"].database
    await database.command("profile", 2)
    await process_all(host, reader)
    await database.command("profile", 0)
    looks = {"ns": f"{database.name}.{Statement.collection}", "command.filter._id": {"$exists": True}}
    assert await database["system.profile"].count_documents(looks) == 1
    statements = await host.stores["ledger"].select(Statement, {}, limit=100)
    assert [statement.amount for statement in statements] == [2] * MANY
    assert {statement.version for statement in statements} == {1}


async def test_what_is_made_is_made_once_and_stays_as_it_is_when_its_event_comes_again(
    plain_hosts: Hosts,
) -> None:
    host = await paid_into_many(plain_hosts)
    store, archive = host.stores["ledger"], host.archives["ledger"]
    await process_all(host, maker)
    first = (await store.select(Statement, {}, limit=100))[0]
    await store.change(Statement, first.id, lambda receipt: receipt.entries.append(7))

    await store.database["cursors"].update_many({"group": maker.group}, {"$set": {"position": 0}})
    await process_all(host, maker)
    receipts = await store.select(Statement, {}, limit=100)
    assert len(receipts) == 2 * MANY
    assert {receipt.version for receipt in receipts if receipt.id != first.id} == {1}
    assert (await store.load(Statement, first.id)).entries == [7]

    async def each_told_once() -> bool:
        return await archive.head() == 4 * MANY

    await eventually(each_told_once)
