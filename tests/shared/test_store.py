"""State and events in one write: group commit, conflicts, numbers, sealed fields, an absent database."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.host import Host
from shared.local.mongod import Mongod
from shared.model.documents import Document
from shared.model.known import PartOf
from shared.model.personal import Personal
from shared.model.problems import AlreadyExists, StaleVersion, Unavailable, VersionConflict
from shared.store.request_keys import RequestKey, _current
from shared.store.store import Store
from tests.kit.waiting import eventually
from tests.shared.toy import Account, AccountView
from tests.shared.toy_hosts import Hosts, toy_settings


@pytest.fixture
async def host(plain_hosts: Hosts) -> Host:
    return await plain_hosts.prepare()


@pytest.fixture
def store(host: Host) -> Store:
    return host.stores["ledger"]


async def outbox(store: Store, account_id: str) -> list[int]:
    row = await store.collection(Account).find_one({"_id": account_id})
    assert row
    return [entry["sequence"] for entry in row["outbox"]]


# ── group commit ─────────────────────────────────────────────────────────────────────────────────────


async def test_concurrent_commits_are_all_stored_with_their_events(store: Store) -> None:
    accounts = [Account(id=f"acc{number}") for number in range(300)]
    for account in accounts:
        account.pay(1)
    await asyncio.gather(*(store.commit(account) for account in accounts))
    assert {account.version for account in accounts} == {1}
    assert await store.count(Account, {"outbox.sequence": 1, "balance": 1}, limit=1000) == 300


async def test_errors_in_a_group_reach_their_own_caller(store: Store) -> None:
    await store.commit(Account(id="taken", nickname="桂花"))
    await store.commit(Account(id="moving"))
    stale = await store.load(Account, "moving")
    current = await store.load(Account, "moving")
    current.pay(1)
    await store.commit(current)
    stale.pay(1)
    group = [
        Account(id="fine"),
        Account(id="other", nickname="桂花"),
        stale,
        Account(id="taken"),
        Account(id="fine too"),
    ]
    results = await asyncio.gather(*(store.commit(account) for account in group), return_exceptions=True)
    assert [type(result) for result in results] == [
        Account,
        AlreadyExists,
        VersionConflict,
        AlreadyExists,
        Account,
    ]
    assert isinstance(results[1], AlreadyExists)
    assert results[1].index == "nickname"
    assert await outbox(store, "moving") == [2]
    assert await store.find(Account, "other") is None


async def test_a_cancelled_caller_neither_cancels_nor_loses_the_others(store: Store) -> None:
    accounts = [Account(id=f"acc{number}") for number in range(20)]
    commits = [asyncio.create_task(store.commit(account)) for account in accounts]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for commit in commits[::2]:
        commit.cancel()
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert [type(result) for result in results[1::2]] == [Account] * 10

    async def all_stored() -> bool:
        return await store.count(Account, {}, limit=100) == 20

    await eventually(all_stored, 5)  # the cancelled ones too: their write was on its way


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────


async def test_concurrent_changes_of_one_document_all_take_effect(store: Store) -> None:
    await store.commit(Account(id="acc"))
    await asyncio.gather(*(store.change(Account, "acc", lambda account: account.pay(1)) for _ in range(8)))
    account = await store.load(Account, "acc")
    assert (account.balance, account.version) == (8, 9)
    assert await outbox(store, "acc") == list(range(2, 10))


async def test_if_match_refuses_another_version_before_the_rule_runs(store: Store) -> None:
    await store.commit(Account(id="acc"))
    await store.change(Account, "acc", lambda account: account.pay(1), if_match='"1"')
    with pytest.raises(StaleVersion):
        await store.change(Account, "acc", lambda account: pytest.fail("it ran"), if_match='"1"')
    await store.change(Account, "acc", lambda account: account.pay(1), if_match="*")
    assert (await store.load(Account, "acc")).balance == 2


async def test_several_documents_commit_together_or_not_at_all(store: Store) -> None:
    await store.commit(Account(id="b"))
    stale, current = await store.load(Account, "b"), await store.load(Account, "b")
    current.pay(1)
    await store.commit(current)
    stale.pay(5)
    with pytest.raises(VersionConflict):
        async with store.together(AccountView.of) as unit:
            unit.add(Account(id="a"))
            unit.add(stale)
    assert await store.find(Account, "a") is None
    current.pay(1)
    async with store.together(AccountView.of) as unit:
        unit.add(Account(id="a"))
        unit.add(current)
    assert unit.answer.id == "a"
    assert await store.find(Account, "a")
    assert (await store.load(Account, "b")).balance == 2


async def test_a_documents_pending_events_are_bounded(store: Store) -> None:
    account = Account(id="acc")
    for _ in range(501):
        account.pay(1)
    with pytest.raises(Unavailable):
        await store.commit(account)
    assert await store.find(Account, "acc") is None


async def test_the_idempotency_key_is_stored_in_the_same_write(store: Store) -> None:
    await store.commit(Account(id="acc"))

    async def pay_once() -> Account:
        _current.set(RequestKey("k1", "print", {"type": "http"}, str))
        return await store.change(Account, "acc", lambda a: a.pay(5), lambda a: a)

    results = await asyncio.gather(
        *(asyncio.create_task(pay_once()) for _ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results].count(Account) == 1
    assert [type(result) for result in results].count(AlreadyExists) == 4
    row = await store.collection(Account).find_one({"_id": "acc"})
    assert row
    assert (row["version"], row["balance"], [entry["sequence"] for entry in row["outbox"]]) == (2, 5, [2])
    stored = await store.find_answer(RequestKey("k1", "print", {"type": "http"}, str))
    assert stored
    assert stored["fingerprint"] == "print"
    assert '"balance":5' in stored["body"]


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────


class Refused(Exception):
    """The rule says no."""


@pytest.mark.parametrize("seed", range(3))
async def test_numbers_have_no_gap_whoever_races_and_whatever_fails(plain_hosts: Hosts, seed: int) -> None:
    chance = random.Random(seed)
    replicas = [(await plain_hosts.prepare()).stores["ledger"] for _ in range(2)]
    chains = ["east", "west"]
    ids = [f"acc{number:03}" for number in range(120)]
    await asyncio.gather(*(replicas[0].commit(Account(id=account_id)) for account_id in ids))
    given: list[tuple[str, int]] = []

    async def number(account_id: str) -> None:
        store, chain = chance.choice(replicas), chance.choice(chains)
        fails = chance.choice(["no", "no", "no", "rule", "conflict", "cancel"])
        account = await store.load(Account, account_id)
        if fails == "conflict":
            await store.change(Account, account_id, lambda a: a.pay(1))

        def apply(document: Account, serial: int) -> None:
            if fails == "rule":
                raise Refused
            document.chain, document.serial = chain, serial
            document.pay(serial)

        await asyncio.sleep(chance.random() * 0.05)
        commit = asyncio.ensure_future(store.commit_next(account, chain, apply, lambda a: a))
        if fails == "cancel":
            await asyncio.sleep(0)
            commit.cancel()
        [result] = await asyncio.gather(commit, return_exceptions=True)
        expected = {"no": Account, "rule": Refused, "conflict": VersionConflict}
        assert type(result) is expected.get(fails, type(result))
        if isinstance(result, Account):
            given.append((chain, result.serial))

    await asyncio.gather(*(number(account_id) for account_id in ids))
    for chain in chains:
        await without_gap(replicas[0], chain, {serial for name, serial in given if name == chain})


async def without_gap(store: Store, chain: str, given: set[int]) -> None:
    """The serials stored are 1, 2, 3, …, each with its event; those that were told are among them."""
    rows = await store.select(Account, {"chain": chain}, sort=[("serial", 1)], limit=1000)
    serials = [row.serial for row in rows]
    assert serials == list(range(1, len(serials) + 1))
    assert given <= set(serials)
    for row in rows:
        assert row._stored["outbox"][-1]["data"].startswith(f'{{"amount":{row.serial}')


# ── personal fields ──────────────────────────────────────────────────────────────────────────────────


async def test_personal_fields_are_not_in_clear_and_go_with_the_persons_key(host: Host, store: Store) -> None:
    person = await host.vault.new_person()
    account = Account(id="acc", owner=person, phone="13905700000")
    account.pay(1)
    await store.commit(account)
    raw = await store.collection(Account).find_one({"_id": "acc"})
    assert "13905700000" not in repr(raw)

    loaded = await store.load(Account, "acc")
    assert loaded.phone is None
    await store.unseal(loaded)
    assert loaded.phone == "13905700000"

    await host.vault.erase(person)
    erased = await store.load(Account, "acc")
    await store.unseal(erased)
    assert erased.phone is None
    erased.pay(1)
    await store.commit(erased)  # the account lives on without its person


async def test_a_change_that_opens_nothing_keeps_the_box(host: Host, store: Store) -> None:
    await store.commit(Account(id="acc", owner=await host.vault.new_person(), phone="13905700000"))
    await store.change(Account, "acc", lambda account: account.pay(1))
    account = await store.load(Account, "acc")
    await store.unseal(account)
    assert (account.phone, account.balance) == ("13905700000", 1)


# ── an absent database ───────────────────────────────────────────────────────────────────────────────


class Card(Document):
    collection = "cards"
    person_field = "owner"
    part_of = PartOf(Account, "account_id")
    account_id: str = "acc"
    owner: str
    name: Personal[str] = None
    phone: Personal[str] = None


async def test_a_personal_field_cannot_be_changed_over_the_others_unseen(host: Host, store: Store) -> None:
    card = Card(owner=await host.vault.new_person(), name="王小明")
    await store.commit(card)
    card.phone = "13900000001"  # the one who made it knows it all
    await store.commit(card)

    unopened = await store.load(Card, card.id)
    unopened.phone = "13900000002"
    with pytest.raises(RuntimeError, match="unseal"):
        await store.commit(unopened)

    opened = await store.load(Card, card.id)
    await store.unseal(opened)
    assert (opened.name, opened.phone) == ("王小明", "13900000001")


@pytest.fixture
async def fragile(own_mongod: Mongod, tmp_path: Path) -> AsyncIterator[Store]:
    settings = toy_settings(own_mongod.uri, None, tmp_path)
    hosts = Hosts(settings.model_copy(update={"command_timeout": 1.8}))
    yield (await hosts.prepare()).stores["ledger"]
    await hosts.close()


async def unavailable(store: Store) -> None:
    """Every kind of call says within 2 s that the database is away."""
    calls = [store.commit(Account()), store.find(Account, "acc"), store.select(Account, {})]
    began = time.monotonic()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 3
    assert time.monotonic() - began < 2.5  # 1.8 s and what a busy machine adds


async def commits_again(store: Store) -> None:
    async def commits() -> bool:
        try:
            await store.commit(Account())
        except Unavailable:
            return False
        return True

    await eventually(commits, 15)


async def test_without_mongodb_calls_are_unavailable_within_2_s_and_it_recovers(
    fragile: Store, own_mongod: Mongod
) -> None:
    await fragile.commit(Account(id="acc"))
    own_mongod.kill()
    await unavailable(fragile)
    await unavailable(fragile)
    await asyncio.to_thread(own_mongod.restart)
    await commits_again(fragile)
    assert await fragile.find(Account, "acc")


def stands_still(pid: int) -> bool:
    """Whether all threads of a process are stopped."""
    states = [
        stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return set(states) == {"T"}


async def test_a_mongodb_that_does_not_answer_is_unavailable_too(fragile: Store, own_mongod: Mongod) -> None:
    await fragile.commit(Account(id="acc"))
    os.kill(own_mongod.pid, signal.SIGSTOP)
    # Threads stop one after the other.
    await eventually(lambda: asyncio.to_thread(stands_still, own_mongod.pid))
    try:
        await unavailable(fragile)
        await unavailable(fragile)
    finally:
        os.kill(own_mongod.pid, signal.SIGCONT)
    await commits_again(fragile)
    assert await fragile.find(Account, "acc")


async def test_a_unit_has_each_document_once_and_is_of_something(store: Store) -> None:
    with pytest.raises(TypeError, match="Account a is in the unit twice"):
        async with store.together(AccountView.of) as unit:
            unit.add(Account(id="a"))
            unit.add(Account(id="a"))
    with pytest.raises(TypeError, match="nothing was added"):
        async with store.together(AccountView.of):
            pass
    assert await store.find(Account, "a") is None
