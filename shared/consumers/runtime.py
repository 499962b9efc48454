"""The consumer runtime: reads a log for one group and commits each batch in one transaction.

For every event the transaction holds its effects, or the event itself parked; and the cursors behind it.
So an event takes effect exactly once, whatever is killed or delivered twice.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import structlog

from shared.consumers.cursors import CursorMoved, Cursors
from shared.consumers.declare import Consumer
from shared.consumers.parking import Parking, envelope_of
from shared.consumers.tables import prepare_tables
from shared.consumers.transaction import Transaction
from shared.log.interface import Log, Slice, Subscription
from shared.model.clock import now
from shared.model.documents import Document, Index
from shared.model.events import Envelope, Event, Undecodable, decode
from shared.mongo.driver import Bson, PyMongoError, Session, is_transient, transaction
from shared.mongo.indexes import create_indexes
from shared.store.store import Store
from shared.telemetry import CONSUMED, HANDLER_TIME, traced

BATCH = 2000
WAIT = 0.5
STALL = 3.0
"""Seconds between looks whether a partition stands still while there is something to read. At the second
such look the subscription is made anew."""
HANDLER_SECONDS = 4.0
"""A handler that takes longer has failed; the transaction lives for 8 s."""
BATCH_SECONDS = 2.0
"""After so long a batch commits what it has handled, and goes on in another transaction."""
AWAY = 5.0
"""Seconds of failing after which we ask whether MongoDB can be reached at all."""
BATCHES_KEPT = 7 * 24 * 3600
_BATCHES = (
    Index("kept", [("at", 1)], expire_after=BATCHES_KEPT),
    Index("group", [("group", 1), ("at", 1)]),
)
log = structlog.get_logger()


class UnreadableEvent(Exception):
    """The event's data does not fit its model."""


class _TooSlow(Exception):
    """Rolls a batch back whose handler did not return."""


class _StaysParked(Exception):
    """Rolls a retry back."""


class Runtime:
    """Runs one consumer group in one process."""

    def __init__(self, consumer: Consumer, store: Store, log_: Log) -> None:
        self.consumer = consumer
        self.store = store
        self.cursors = Cursors(store.database, consumer.group, log_.name)
        self.parking = Parking(store.database, consumer.group)
        self._log = log_
        self.has_parked = asyncio.Event()
        """Set when something was parked here: see `Retries`."""
        self._handling = ""
        self._batches = store.database["batches"]
        self._looked = time.monotonic()

    async def prepare(self) -> None:
        """Create the indexes of the runtime and of the consumer's tables."""
        generation = await self.cursors.live()
        await asyncio.gather(
            self.parking.prepare(),
            create_indexes(self._batches, _BATCHES),
            prepare_tables(self.store, self.consumer.tables, self.consumer.followed, generation),
        )

    async def run(self) -> None:
        """Consume until cancelled; a broken subscription is thrown away and made anew.

        Without MongoDB there is none: a member would hold partitions that others could serve.
        """
        while True:
            subscription = self._log.subscribe(self.consumer.group, self.consumer.sources, self.cursors.load)
            try:
                await self.cursors.live()
                self._looked = time.monotonic()
                while True:
                    await self._step(subscription)
            except Exception as error:
                log.warning("subscription renewed", group=self.consumer.group, error=repr(error))
            finally:
                await subscription.close()
            await asyncio.sleep(0.5)

    async def _step(self, subscription: Subscription) -> None:
        slices = await subscription.fetch(BATCH, WAIT)
        if slices:
            with HANDLER_TIME.labels(self.consumer.group).time():
                try:
                    rest = await self._commit_some(slices)
                except CursorMoved:
                    rest = slices
            if rest:  # fetched again: who does not fetch for long loses its place to another member
                await subscription.rewind()
        if time.monotonic() - self._looked > STALL:
            self._looked = time.monotonic()
            if await subscription.stalled():
                raise TimeoutError("no progress although the archive holds more")

    async def process(self, slices: Sequence[Slice]) -> None:
        """Commit a batch, in as many transactions as it takes. Raises as `_commit_some`."""
        while slices:
            slices = await self._commit_some(slices)

    async def _commit_some(self, slices: Sequence[Slice]) -> Sequence[Slice]:
        """As much as one transaction has time for; again while the database refuses for a passing reason.
        Returns the rest.

        Raises CursorMoved, and PyMongoError when the database cannot be reached for long.
        """
        failed: dict[str, str] = {}
        attempt, since = 0, time.monotonic()
        while True:
            try:
                return await self._commit(slices, failed)
            except _TooSlow:
                continue
            except PyMongoError as error:
                if not is_transient(error) and await self._isolate(slices, failed, error):
                    return ()
                if time.monotonic() - since > AWAY:
                    await self.cursors.live()
                    since = time.monotonic()
                attempt += 1
                if attempt > 4:  # below that it is a conflict, which passes
                    log.warning("batch tried again", group=self.consumer.group, error=repr(error))
                await asyncio.sleep(min(2.0, 0.01 * 2 ** min(attempt, 10)) * random.random())

    async def _isolate(self, slices: Sequence[Slice], failed: dict[str, str], error: PyMongoError) -> bool:
        """The database refuses the effects of some event for good: find it by committing one at a time."""
        if len(slices) == 1 and len(slices[0].events) == 1:
            event = slices[0].events[0]
            if event.id in failed:
                return False
            failed[event.id] = repr(error)
            await self._commit(slices, failed)
            return True
        for piece in slices:
            after = piece.after
            for event in piece.events:
                # Without a hint where to resume: it would be behind what is not committed yet.
                await self.process([piece._replace(after=after, events=[event], resume=None)])
                after = event.position
        return True

    async def _commit(self, slices: Sequence[Slice], failed: dict[str, str]) -> Sequence[Slice]:
        """One transaction. Returns what there was no time for."""
        events = [event for piece in slices for event in piece.events]
        rest: Sequence[Slice] = ()
        ends = time.monotonic() + BATCH_SECONDS
        decoded, held = await asyncio.gather(
            self._decode(events), self.parking.held([event.subject for event in events])
        )
        parked: list[tuple[Envelope, str | None]] = []
        async with transaction(self.store.client) as session:
            tx = Transaction(self.store, session, self.cursors.generation, self.consumer.followed)
            await tx.preload(self._wanted(decoded))
            async with self._in_time(failed):
                for index, (envelope, event) in enumerate(zip(events, decoded, strict=True)):
                    if index and time.monotonic() > ends:
                        slices, rest = _cut(slices, index)
                        break
                    if event is None:
                        continue
                    if envelope.subject in held:
                        parked.append((envelope, None))
                    elif reason := await self._handle(event, envelope, tx, failed):
                        parked.append((envelope, reason))
                        held.add(envelope.subject)
            await self.cursors.advance(slices, session)
            await tx.flush()
            if parked:
                await self.parking.park(parked, session)
            await self._batches.insert_one(self._batch(slices, now()), session=session)
        if parked:
            self.has_parked.set()
        self._announce(slices, tx)
        return rest

    def _wanted(self, events: Sequence[Event | Undecodable | None]) -> dict[type[Document], set[str]]:
        """The documents that handlers say they will load."""
        wanted: dict[type[Document], set[str]] = {}
        for event in events:
            loads = self.consumer.loads.get(type(event))  # type: ignore[arg-type]  # None has none
            if loads is None:
                continue
            with suppress(AttributeError, TypeError):  # its handler will run into it, and it is parked
                model, document_id = loads(event)
                wanted.setdefault(model, set()).add(document_id)
        return wanted

    @asynccontextmanager
    async def _in_time(self, failed: dict[str, str]) -> AsyncIterator[None]:
        """Bound the handlers: one timer a batch, which ends long before, and not one an event.

        Raises _TooSlow, with the handler under way among the `failed`.
        """
        try:
            async with asyncio.timeout(HANDLER_SECONDS):
                yield
        except TimeoutError:
            failed[self._handling] = f"TimeoutError: took longer than {HANDLER_SECONDS:.0f} s"
            raise _TooSlow from None

    async def _decode(self, envelopes: Sequence[Envelope]) -> list[Event | Undecodable | None]:
        """The events this consumer handles, opened where it asks for it; None for the others."""
        wanted = {event.type for event in self.consumer.handlers}
        decoded = [decode(envelope) if envelope.type in wanted else None for envelope in envelopes]
        if not self.consumer.opens:
            return decoded
        return list(await asyncio.gather(*(self._opened(event) for event in decoded)))

    async def _opened(self, event: Event | Undecodable | None) -> Event | Undecodable | None:
        """The event, with its sealed fields in clear where the handler asks for them."""
        if not isinstance(event, Event) or type(event) not in self.consumer.opens:
            return event
        try:
            await self.store.vault.open_event(event)
        except ValueError as error:
            return Undecodable(event.envelope, str(error))
        return event

    async def _handle(
        self, event: Event | Undecodable, envelope: Envelope, tx: Transaction, failed: dict[str, str]
    ) -> str | None:
        """Run the handler. Returns why it failed, or None."""
        if envelope.id in failed:
            return failed[envelope.id]
        self._handling = envelope.id
        with traced(envelope.traceparent, envelope.id):
            try:
                if isinstance(event, Undecodable):
                    raise UnreadableEvent(event.reason)
                await self.consumer.handlers[type(event)](event, tx)
            except Exception as error:
                tx.drop()
                if is_transient(error) and not isinstance(error, TimeoutError):
                    raise
                failed[envelope.id] = f"{type(error).__name__}: {error}"
                log.error(
                    "event parked", group=self.consumer.group, id=envelope.id, error=type(error).__name__
                )
                return failed[envelope.id]
            tx.keep()
        return None

    def _batch(self, slices: Sequence[Slice], at: datetime) -> Bson:
        """A record of what was committed together: `jinguo trace` finds an event's consumption in it."""
        parts = [
            {"source": s.source, "partition": s.partition, "after": s.after, "to": s.events[-1].position}
            for s in slices
        ]
        return {"group": self.consumer.group, "at": at, "parts": parts}

    def _announce(self, slices: Sequence[Slice], tx: Transaction) -> None:
        for piece in slices:
            CONSUMED.labels(self.consumer.group, piece.source).inc(len(piece.events))
        self.store.wake_relay(tx.models)

    # ── parked events ────────────────────────────────────────────────────────────────────────────

    async def retry_due(self) -> None:
        """Try the parked events again whose time has come."""
        for row in await self.parking.due():
            await self.retry(row)

    async def retry(self, row: Bson) -> bool:
        """Handle one parked event. True when it took effect, or was gone."""
        envelope = envelope_of(row)
        failed: dict[str, str] = {}
        try:
            async with transaction(self.store.client) as session:
                if not await self.parking.done(row["_id"], session):
                    return True
                tx = await self._retry_in(session, envelope, failed)
            self.store.wake_relay(tx.models)  # once it is committed: before, there is nothing to see
        except PyMongoError as error:
            if is_transient(error):
                return False
            failed[envelope.id] = repr(error)
        except (_StaysParked, _TooSlow):
            pass
        if failed:
            await self.parking.failed(row, failed[envelope.id])
        return not failed

    async def _retry_in(self, session: Session, envelope: Envelope, failed: dict[str, str]) -> Transaction:
        generation = await self.cursors.hold(session)  # no batch may have told us of a rebuild
        tx = Transaction(self.store, session, generation, self.consumer.followed)
        [event] = await self._decode([envelope])
        async with self._in_time(failed):
            if event is not None and await self._handle(event, envelope, tx, failed):
                raise _StaysParked
        await tx.flush()
        return tx


def _cut(slices: Sequence[Slice], count: int) -> tuple[list[Slice], list[Slice]]:
    """The first `count` events, and the rest, which alone has the hint where to resume: it is behind all."""
    first: list[Slice] = []
    rest: list[Slice] = []
    for piece in slices:
        here, there = piece.events[:count], piece.events[count:]
        count -= len(here)
        if here:
            first.append(piece._replace(events=here, resume=None))
        if there:
            rest.append(piece._replace(after=here[-1].position if here else piece.after, events=there))
    return first, rest
