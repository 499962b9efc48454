"""What a document keeps has a bound, and what is above one is refused to its own caller, clearly."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import httpx
import pytest
from pydantic import BaseModel

from jinguo.services import SERVICES
from shared.model.documents import Document, Most
from shared.model.problems import EventTooLarge, Full, NotStored, Unavailable
from shared.model.roles import Role
from shared.model.workflow import Move, Queue, Workflow
from shared.mongo.driver import MAX_DOCUMENT
from shared.store.store import Store
from shared.store.writes import MAX_EVENT
from tests.shared.toy import Account, AccountView, Frozen, Statement
from tests.shared.toy_hosts import Hosts

MODELS = sorted({model for service in SERVICES for model in service.stored}, key=lambda m: m.__name__)
BOUNDED = [(model, name, most) for model in MODELS for name, most in model.bounds]


@pytest.fixture
async def store(plain_hosts: Hosts) -> Store:
    return (await plain_hosts.prepare()).stores["ledger"]


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────


class Part(BaseModel):
    days: list[int]


@pytest.mark.parametrize(
    "kind",
    [
        list[int],
        dict[str, int],
        set[str],
        tuple[int, ...],
        list[int] | None,
        Sequence[str],
    ],
    ids=str,
)
def test_a_document_with_a_list_without_a_bound_cannot_be_made(kind: Any) -> None:
    with pytest.raises(TypeError, match="has no bound"):
        type("Endless", (Document,), {"__annotations__": {"entries": kind}, "__module__": __name__})
    bounded = {"__annotations__": {"entries": Annotated[kind, Most(3)]}, "__module__": __name__}
    assert type("Bounded", (Document,), bounded).bounds == (("entries", 3),)


@pytest.mark.parametrize("kind", [Part, list[Part], list[list[int]], dict[str, Part | None]], ids=str)
def test_nor_one_with_a_list_inside_of_a_part(kind: Any) -> None:
    with pytest.raises(TypeError, match="cannot be bounded"):
        bounded = {"__annotations__": {"part": Annotated[kind, Most(3)]}, "__module__": __name__}
        type("Endless", (Document,), bounded)


def test_what_the_store_keeps_beside_the_fields_cannot_be_a_field() -> None:
    with pytest.raises(TypeError, match="the store's own"):
        type("Taken", (Document,), {"__annotations__": {"outbox": str}, "__module__": __name__})


@pytest.mark.parametrize(
    ("model", "name", "most"), BOUNDED, ids=[f"{model.__name__}.{name}" for model, name, _ in BOUNDED]
)
def test_each_list_of_each_service_is_refused_when_it_is_over_full(
    model: type[Document], name: str, most: int
) -> None:
    kind = model.model_fields[name].annotation
    filled = dict.fromkeys(map(str, range(most)), 0) if "dict" in str(kind) else [0] * most
    document = model.model_construct(**{other: [] for other, _ in model.bounds} | {name: filled})
    document.check_bounds()
    over: Any = filled | {"one more": 0} if isinstance(filled, dict) else [*filled, 0]
    setattr(document, name, over)
    with pytest.raises(Full) as refused:
        document.check_bounds()
    assert refused.value.facts == {"what": name, "most": most}


async def test_a_full_list_is_refused_at_commit_and_one_that_is_longer_already_can_be_changed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Statement, "bounds", (("entries", 3),))
    await store.commit(Statement(id="acc", entries=[1, 2, 3]))
    with pytest.raises(Full):
        await store.change(Statement, "acc", lambda statement: statement.entries.append(4))
    assert (await store.load(Statement, "acc")).entries == [1, 2, 3]
    await store.collection(Statement).update_one({"_id": "acc"}, {"$set": {"entries": [1, 2, 3, 4, 5]}})

    def pay(statement: Statement) -> None:
        statement.amount = 7

    assert (await store.change(Statement, "acc", pay)).entries == [1, 2, 3, 4, 5]


def test_moves_that_are_always_possible_have_an_end() -> None:
    from enum import StrEnum

    class State(StrEnum):
        A = "a"
        B = "b"

    moves = {"go": Move((State.A,), State.B, always=True), "back": Move((State.B,), State.A)}
    queues = dict.fromkeys(State, Queue("x", Role.COORDINATOR))
    Workflow(moves, queues)
    with pytest.raises(ValueError, match="circles"):
        Workflow(moves | {"back": Move((State.B,), State.A, always=True)}, queues)


# ── events ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("why", ["x" * MAX_EVENT, "情" * (MAX_EVENT // 3)])
async def test_an_event_above_the_limit_is_refused_with_all_of_its_commit(store: Store, why: str) -> None:
    account = Account(id="acc")
    account.record(Frozen(why=why))
    with pytest.raises(EventTooLarge) as refused:
        await store.commit(account)
    facts = refused.value.facts
    assert (refused.value.status, facts["event"], facts["limit"]) == (422, Frozen.type, MAX_EVENT)
    assert facts["bytes"] > MAX_EVENT
    assert await store.find(Account, "acc") is None


async def test_waiting_events_are_bounded_in_size_too(store: Store) -> None:
    account = Account(id="acc")
    for _ in range(20):
        account.record(Frozen(why="x" * 200_000))
    with pytest.raises(Unavailable):
        await store.commit(account)


# ── what MongoDB refuses ─────────────────────────────────────────────────────────────────────────────


async def almost_full(store: Store, account_id: str) -> None:
    """An account at the edge of what MongoDB takes, as one of before there were bounds."""
    row = {"_id": account_id, "version": 1, "filler": "x" * (MAX_DOCUMENT - 200)}
    await store.collection(Account).insert_one(row)


async def test_a_document_that_cannot_grow_is_told_so_and_the_connection_lives_on(
    plain_hosts: Hosts,
) -> None:
    host = await plain_hosts.prepare()
    await almost_full(host.stores["ledger"], "huge")
    transport = httpx.ASGITransport(
        app=host.app()
    )  # what the server would answer by a dropped connection raises
    async with httpx.AsyncClient(transport=transport, base_url="http://toy/ledger") as http:
        answer = await http.post("/accounts/huge/payments", json={"amount": 5})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "full")
    assert (answer.json()["what"], answer.json()["most"]) == ("document", MAX_DOCUMENT)


async def test_what_one_document_is_refused_for_does_not_reach_the_others_of_its_group(store: Store) -> None:
    await almost_full(store, "huge")
    huge = await store.load(Account, "huge")
    huge.pay(1)
    too_large, too_great = Account(id="large", nickname="x" * (MAX_DOCUMENT + 1)), Account(id="great")
    too_great.balance = 2**64
    fine = [Account(id="a"), Account(id="b"), Account(id="c")]
    group = [fine[0], huge, fine[1], too_large, too_great, fine[2]]
    results = await asyncio.gather(*(store.commit(account) for account in group), return_exceptions=True)
    kinds = [type(result) for result in results]
    assert kinds == [Account, Full, Account, Full, NotStored, Account]
    assert [await store.find(Account, account.id) is not None for account in fine] == [True] * 3


async def test_nor_the_others_that_wait_for_a_number(store: Store) -> None:
    for name in "abc":
        await store.commit(Account(id=name))
    accounts = [await store.load(Account, name) for name in "abc"]

    def number(account: Account, serial: int) -> None:
        account.chain, account.serial = "east", serial
        if account.id == "b":
            account.nickname = "x" * (MAX_DOCUMENT + 1)

    results = await asyncio.gather(
        *(store.commit_next(account, "east", number, lambda found: found) for account in accounts),
        return_exceptions=True,
    )
    assert [getattr(result, "serial", type(result)) for result in results] == [1, Full, 2]


async def test_of_several_documents_in_one_transaction_none_is_stored(store: Store) -> None:
    with pytest.raises(Full):
        async with store.together(AccountView.of) as unit:
            unit.add(Account(id="a"))
            unit.add(Account(id="b", nickname="x" * (MAX_DOCUMENT + 1)))
    assert await store.find(Account, "a") is None
