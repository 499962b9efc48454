"""What an event led to is attributed to that event, however many are handled together."""

from shared.consumers.declare import Consumer
from shared.consumers.runtime import Runtime
from shared.consumers.transaction import Transaction
from shared.log.archive import Archive
from shared.model.events import Envelope
from shared.telemetry import new_traceparent, traced
from tests.kit.waiting import eventually
from tests.shared import toy
from tests.shared.toy import Statement, opened, paid
from tests.shared.toy_hosts import Hosts

auditor = Consumer("ledger.auditor")


@auditor.on(toy.PaidIn)
async def freeze_twice(event: toy.PaidIn, tx: Transaction) -> None:
    """Two events of one document for every payment, whichever account it went to."""
    statement = await tx.load(Statement, "of-all") or Statement(id="of-all")
    for why in ("paid", "looked-at"):
        statement.record(toy.Frozen(why=f"{why} {event.envelope.id}"))
    tx.save(statement)


async def both(archive: Archive, event: Envelope) -> list[Envelope]:
    """What an event led to, once the two are archived."""
    found = await archive.caused_by(event)
    return found if len(found) == 2 else []


async def test_each_event_of_a_document_keeps_the_cause_and_the_trace_it_came_from(
    plain_hosts: Hosts,
) -> None:
    host = await plain_hosts.start(toy.source_only)
    store, archive = host.stores["ledger"], host.archives["ledger"]
    await opened(store, "a", "b")
    traces = {}
    for account in ("a", "b"):
        with traced(traceparent := new_traceparent()):
            await paid(store, account)
        traces[f"{account}.2.0"] = traceparent

    async def archived() -> bool:
        return await archive.head() == 2

    await eventually(archived)
    runtime = Runtime(auditor, store, host.log)
    await runtime.prepare()
    subscription = host.log.subscribe("ledger.auditor", ["ledger"], runtime.cursors.load)
    slices = await subscription.fetch(100, 0.2)
    assert sum(len(piece.events) for piece in slices) == 2  # one batch
    await runtime.process(slices)
    await subscription.close()

    for cause, traceparent in traces.items():
        event = await eventually(lambda cause=cause: archive.find(cause))
        led_to = await eventually(lambda event=event: both(archive, event))
        assert [effect.data for effect in led_to] == [
            toy.Frozen(why=f"{why} {cause}").model_dump_json(exclude_none=True)
            for why in ("paid", "looked-at")
        ]
        assert {effect.traceparent for effect in led_to} == {traceparent}
