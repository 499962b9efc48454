"""Where answers to repeated requests lie: a busy document stays small, no key is forgotten within a day."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from shared.model.clock import moved, now
from shared.model.problems import VersionConflict
from shared.store.answers import MAX_ANSWER, MOST, MOST_BYTES
from shared.store.request_keys import KEPT
from shared.store.store import Store
from tests.shared.toy import Account
from tests.shared.toy_hosts import Hosts


@pytest.fixture
async def store(plain_hosts: Hosts) -> Store:
    return (await plain_hosts.prepare()).stores["ledger"]


@pytest.fixture
async def http(plain_hosts: Hosts, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    host = plain_hosts._made[-1]
    host.allowances.limit(reading=0, writing=0, costly=0)
    transport = httpx.ASGITransport(app=host.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://toy/ledger") as client:
        yield client


async def opened(http: httpx.AsyncClient, account: str = "acc", key: str = "open") -> httpx.Response:
    return await http.post("/accounts", json={"id": account}, headers={"Idempotency-Key": key})


async def pay(http: httpx.AsyncClient, key: str) -> httpx.Response:
    return await http.post(
        "/accounts/acc/payments",
        json={"amount": 1},
        headers={"Idempotency-Key": key, "Passbook": "blue"},
    )


async def write(http: httpx.AsyncClient, key: str, text: str) -> httpx.Response:
    return await http.post("/accounts/acc/letters", json={"text": text}, headers={"Idempotency-Key": key})


async def kept(store: Store) -> tuple[int, int]:
    """How many answers lie in the account, and how many bytes they have."""
    row = await store.collection(Account).find_one({"_id": "acc"})
    assert row
    return len(row["answers"]), sum(len((answer["body"] or "").encode()) for answer in row["answers"])


async def test_a_document_changed_a_thousand_times_a_day_stays_small_and_knows_every_key(
    http: httpx.AsyncClient, store: Store
) -> None:
    first = await opened(http)
    changes = 5 * MOST + 3
    answers = [await pay(http, f"k{number}") for number in range(changes)]
    assert {answer.status_code for answer in answers} == {200}
    assert (await kept(store))[0] <= MOST
    again = [await pay(http, f"k{number}") for number in range(changes)]
    assert [answer.json() for answer in again] == [answer.json() for answer in answers]
    assert {answer.headers["idempotency-replayed"] for answer in again} == {"true"}
    assert (await http.get("/accounts/acc")).json()["balance"] == changes
    repeated = await opened(http)  # what made the document is known by the document
    assert (repeated.status_code, repeated.json()) == (201, first.json())
    other = await opened(http, "new", key="open-another")
    assert other.status_code == 201


async def test_a_key_that_was_moved_away_is_told_from_one_of_another_request(http: httpx.AsyncClient) -> None:
    await opened(http)
    for number in range(2 * MOST):
        await pay(http, f"k{number}")
    headers = {"Idempotency-Key": "k1", "Passbook": "blue"}
    reused = await http.post("/accounts/acc/payments", json={"amount": 2}, headers=headers)
    assert (reused.status_code, reused.json()["type"].rpartition("/")[2]) == (422, "idempotency-key-reused")
    assert (await http.get("/accounts/acc")).json()["balance"] == 2 * MOST


async def test_concurrent_changes_move_answers_away_without_losing_one(
    http: httpx.AsyncClient, store: Store
) -> None:
    await opened(http)
    keys = [f"k{number}" for number in range(3 * MOST)]
    for start in range(0, len(keys), 4):
        done = await asyncio.gather(*(pay(http, key) for key in keys[start : start + 4]))
        assert {answer.status_code for answer in done} == {200}
    again = [await pay(http, key) for key in keys]
    assert {answer.headers.get("idempotency-replayed") for answer in again} == {"true"}
    assert (await http.get("/accounts/acc")).json()["balance"] == len(keys)
    assert (await kept(store))[0] <= MOST


async def test_answers_are_bounded_in_bytes_and_of_a_very_large_one_only_that_it_was_given_is_kept(
    http: httpx.AsyncClient, store: Store
) -> None:
    """Fifty-one keyed changes of one campaign, each with a text of 4,000 characters, were its last."""
    await opened(http)
    text = "我家承诺用公筷" * 571
    answers = [await write(http, f"k{number}", text) for number in range(60)]
    assert {answer.status_code for answer in answers} == {200}
    assert (await kept(store))[1] <= MOST_BYTES
    row = await store.collection(Account).find_one({"_id": "acc"})
    assert row and len(repr(row["answers"]).encode()) < 2 * MOST_BYTES
    again = [await write(http, f"k{number}", text) for number in range(60)]
    for answer, before in zip(again, answers, strict=True):
        if len(before.content) <= MAX_ANSWER:
            assert (answer.status_code, answer.json()) == (200, before.json())
        else:  # honest: it was done, and this is not what was answered
            assert (answer.status_code, answer.json()["done"]) == (409, 200)
            assert answer.json()["type"].endswith("/answer-not-kept")
    assert {answer.status_code for answer in again} == {200, 409}
    assert (await http.get("/accounts/acc")).json()["balance"] == 60


async def test_what_fails_after_answers_were_moved_away_has_lost_none(
    http: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the process dies in between: they are there twice for a while."""
    await opened(http)
    for number in range(MOST - 1):
        await pay(http, f"k{number}")
    stale = await store.load(Account, "acc")
    move = store.answers._move

    async def moved_and_overtaken(collection: str, answers: list[dict[str, object]]) -> None:
        await move(collection, answers)
        raise VersionConflict

    with monkeypatch.context() as dying:
        dying.setattr(store.answers, "_move", moved_and_overtaken)
        dying.setattr("shared.store.attempts.ATTEMPTS", 1)
        assert (await pay(http, "lost")).status_code == 409
    assert len(stale._stored["answers"]) == (await kept(store))[0] == MOST
    again = [await pay(http, f"k{number}") for number in range(MOST - 1)]
    assert {answer.headers.get("idempotency-replayed") for answer in again} == {"true"}
    assert (await pay(http, "lost")).json()["balance"] == MOST


async def test_after_a_day_a_key_is_new_again_wherever_its_answer_lay(
    http: httpx.AsyncClient, store: Store
) -> None:
    await opened(http)
    for number in range(MOST + 5):
        await pay(http, f"k{number}")
    assert await store.answers.moved.count_documents({}) == MOST - 1
    [age] = [index async for index in store.answers.moved.list_indexes() if index["name"] == "age"]
    assert age["expireAfterSeconds"] == KEPT.total_seconds()
    with moved(KEPT + timedelta(minutes=1)):
        await store.forget_answers(now() - KEPT)
        await store.answers.moved.delete_many({"at": {"$lt": now() - KEPT}})  # MongoDB does so each minute
        assert await kept(store) == (0, 0)
        assert (await pay(http, "k1")).json()["balance"] == MOST + 6


async def test_answers_of_before_keys_were_hashed_are_no_obstacle(
    http: httpx.AsyncClient, store: Store
) -> None:
    await opened(http)
    same = {"fingerprint": "f", "caller": "", "status": 200, "body": "{}", "etag": '"1"', "at": now()}
    old = [same | {"key": f"k{number}"} for number in range(MOST)]
    await store.collection(Account).update_one({"_id": "acc"}, {"$push": {"answers": {"$each": old}}})
    answers = [await pay(http, f"k{number}") for number in range(3)]
    assert [answer.json()["balance"] for answer in answers] == [1, 2, 3]
    assert (await kept(store))[0] == 4  # with the one that made it
    assert await store.answers.moved.count_documents({"fingerprint": "f"}) == MOST
    assert [(await pay(http, f"k{number}")).json() for number in range(3)] == [a.json() for a in answers]
