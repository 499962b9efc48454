"""Attacks on the log: whatever a topic can hold, no group stands still and nothing false takes effect."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from shared.host import Host
from shared.log.archive import partition_of
from shared.log.wire import topic_of
from tests.kit.waiting import eventually
from tests.shared import toy
from tests.shared.foreign_records import FOREIGN, UNREADABLE, Record, let_in_huge, put, put_raw, real_ones
from tests.shared.test_log_contract import records
from tests.shared.toy import entries, paid, settled
from tests.shared.toy_hosts import Hosts

SECONDS = 8
"""Within which what was paid must have taken effect: the archive is looked at twice until then."""


def one_key_a_partition() -> list[str]:
    """Twelve accounts, each in a partition of its own."""
    keys: dict[int, str] = {}
    number = 0
    while len(keys) < 12:
        keys.setdefault(partition_of(f"acc{number}"), f"acc{number}")
        number += 1
    return list(keys.values())


KEYS = one_key_a_partition()


class Ledger:
    """A running ledger on Kafka that is paid into, again and again."""

    def __init__(self, host: Host, bootstrap: str) -> None:
        self.host, self.bootstrap = host, bootstrap
        self.store = host.stores["ledger"]
        self.topic = topic_of(host.settings.database_prefix, "ledger")
        self.rounds = 0

    async def pay(self) -> None:
        """One payment into every account."""
        await paid(self.store, *KEYS)
        self.rounds += 1

    async def all_took_effect(self) -> None:
        """Every payment, once and in order, in both groups, within SECONDS."""
        expected = [list(range(1, self.rounds + 1))] * len(KEYS)

        async def there() -> bool:
            return await entries(self.store, *KEYS) == expected

        await eventually(there, SECONDS, "statements")
        await settled(self.host, SECONDS)
        assert await toy.counted(self.store) == self.rounds * len(KEYS)
        for runtime in self.host.runtimes:
            assert await runtime.parking.count() == 0

    async def last(self) -> dict[int, Record]:
        """The last real record of each partition."""
        found = await records(self.bootstrap, self.topic)
        archived = await self.host.archives["ledger"].ids(range(1, 10_000))
        ids = {event_id.encode() for event_id in archived.values()}
        ours: list[Any] = [record for record in found if dict(record.headers).get("ce_id") in ids]
        return real_ones(ours)


def foreign_records(group: str) -> float:
    labels = {"group": group, "source": "ledger"}
    return REGISTRY.get_sample_value("jinguo_foreign_records_total", labels) or 0.0


@pytest.fixture
async def ledger(kafka_hosts: Hosts, kafka_bootstrap: str) -> Ledger:
    made = Ledger(await kafka_hosts.start(), kafka_bootstrap)
    await made.pay()
    await made.all_took_effect()
    return made


async def test_whatever_stands_in_a_topic_every_group_goes_on(ledger: Ledger) -> None:
    await let_in_huge(ledger.bootstrap, ledger.topic)
    for made in FOREIGN.values():
        real = await ledger.last()  # what is forged claims to come next
        await put(ledger.bootstrap, ledger.topic, [made(record) for record in real.values()])
        await ledger.pay()
        await ledger.all_took_effect()


async def test_what_is_foreign_is_counted(ledger: Ledger) -> None:
    before = foreign_records("ledger.totals")
    made = FOREIGN["a header that is null"]
    await put(ledger.bootstrap, ledger.topic, [made(real) for real in (await ledger.last()).values()])

    async def counted() -> bool:
        return foreign_records("ledger.totals") == before + 12

    await eventually(counted, 10)


@pytest.mark.parametrize("made", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_the_client_cannot_read_is_stepped_over(ledger: Ledger, made: Any) -> None:
    real = await ledger.last()
    for _ in range(3):
        await put_raw(ledger.bootstrap, ledger.topic, {p: made(record) for p, record in real.items()})
        await ledger.pay()
        await ledger.all_took_effect()
