"""A POST with an Idempotency-Key can be repeated: one effect, one answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from shared.model.problems import NotFound
from shared.store.request_keys import RequestKey
from shared.store.store import Store
from tests.shared.toy import Account, AccountView, LettersView
from tests.shared.toy_hosts import Hosts


@pytest.fixture
async def http(plain_hosts: Hosts) -> AsyncIterator[httpx.AsyncClient]:
    host = await plain_hosts.prepare()
    transport = httpx.ASGITransport(app=host.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://toy/ledger") as client:
        await client.post("/accounts", json={"id": "acc"})
        yield client


async def pay(
    http: httpx.AsyncClient, key: str, amount: int = 5, account: str = "acc", passbook: str | None = "blue"
) -> httpx.Response:
    path, headers = f"/accounts/{account}/payments", {"Idempotency-Key": key}
    headers |= {"Passbook": passbook} if passbook else {}
    return await http.post(path, json={"amount": amount}, headers=headers)


def slug(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition("/")[2]


async def balance(http: httpx.AsyncClient) -> int:
    found: int = (await http.get("/accounts/acc")).json()["balance"]
    return found


async def test_a_repetition_gets_the_same_answer_and_has_no_effect(http: httpx.AsyncClient) -> None:
    first = await pay(http, "k1")
    await pay(http, "k2")
    again = await pay(http, "k1")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotency-replayed"] == "true"
    assert await balance(http) == 10


async def test_a_repeated_creation_is_answered_with_its_201(http: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "open"}
    first = await http.post("/accounts", json={"id": "new"}, headers=headers)
    again = await http.post("/accounts", json={"id": "new"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() == {"id": "new", "version": 1, "balance": 0}


async def test_the_same_key_with_another_body_is_422(http: httpx.AsyncClient) -> None:
    await pay(http, "k1", 5)
    answer = await pay(http, "k1", 6)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("/idempotency-key-reused")
    assert await balance(http) == 5


async def test_the_same_key_on_another_path_is_422(http: httpx.AsyncClient) -> None:
    await http.post("/accounts", json={"id": "other"})
    await pay(http, "k1")
    assert (await pay(http, "k1", account="other")).status_code == 422
    assert (await http.get("/accounts/other")).json()["balance"] == 0


async def test_of_who_proves_nothing_the_same_key_with_another_request_is_another_key(
    http: httpx.AsyncClient,
) -> None:
    """Nothing but the request says whose it is: a stranger's key is never in the way."""
    answers = [await pay(http, "k1", amount, passbook=None) for amount in (5, 6, 5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["balance"] for answer in answers] == [5, 11, 5]
    assert await balance(http) == 11


async def test_a_key_is_its_callers_own(http: httpx.AsyncClient) -> None:
    answers = [await pay(http, "k1", passbook=passbook) for passbook in ("blue", "red", None, "blue")]
    assert [answer.json()["balance"] for answer in answers] == [5, 10, 15, 5]
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, None, None, "true"]


async def test_an_answer_is_not_repeated_to_whom_the_route_refuses(
    http: httpx.AsyncClient, plain_hosts: Hosts
) -> None:
    opening = {"json": {"id": "hers"}, "headers": {"Passbook": "blue"}}
    await http.post("/accounts", **opening)  # type: ignore[arg-type]
    first = await pay(http, "today-1", account="hers")
    for passbook in (None, "red"):
        refused = await pay(http, "today-1", account="hers", passbook=passbook)
        assert (refused.status_code, slug(refused)) == (403, "forbidden")
    assert (await pay(http, "today-1", account="hers")).json() == first.json()
    store = (await plain_hosts.prepare()).stores["ledger"]
    await store.collection(Account).update_one({"_id": "hers"}, {"$set": {"passbook": "green"}})
    refused = await pay(http, "today-1", account="hers")  # nor to her, once it is not hers any more
    assert (refused.status_code, slug(refused)) == (403, "forbidden")


async def test_what_is_stored_says_neither_the_key_nor_whose_it_is(
    http: httpx.AsyncClient, plain_hosts: Hosts
) -> None:
    await pay(http, "a-key-of-hers", passbook="a-passbook-of-hers")
    store = (await plain_hosts.prepare()).stores["ledger"]
    row = await store.collection(Account).find_one({"_id": "acc"})
    assert row and row["answers"]
    assert "a-key-of-hers" not in repr(row) and "a-passbook-of-hers" not in repr(row["answers"])


async def test_concurrent_requests_with_one_key_have_one_effect_and_one_answer(
    http: httpx.AsyncClient,
) -> None:
    answers = await asyncio.gather(*(pay(http, "k1") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.text for answer in answers} == {answers[0].text}
    assert await balance(http) == 5


async def test_a_refused_request_does_not_use_its_key_up(http: httpx.AsyncClient) -> None:
    assert (await pay(http, "k1", 2000)).status_code == 422
    assert (await pay(http, "k1", 5)).status_code == 200
    assert await balance(http) == 5


async def test_who_is_not_let_in_makes_us_look_nothing_up(
    http: httpx.AsyncClient, plain_hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit or at no route: a flood of keys does not reach the database."""
    looked = list[str]()
    find = Store.find_answer

    async def seen(store: Store, request: RequestKey) -> Any:
        looked.append(request.key)
        return await find(store, request)

    monkeypatch.setattr(Store, "find_answer", seen)
    host = await plain_hosts.prepare()
    host.allowances.limit(reading=2, writing=2, costly=2)  # of the address, then of the device
    transport = httpx.ASGITransport(app=host.app(), client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://toy/ledger") as limited:
        key = {"Idempotency-Key": "k1"}
        unread = await limited.post("/accounts/acc/payments", content=b"{", headers=key)
        unrouted = [await limited.post(path, headers=key) for path in ("/nowhere", "/bug")]
        paid = [(await pay(limited, "k1")).status_code for _ in range(5)]
    assert [unread.status_code, *(answer.status_code for answer in unrouted)] == [422, 404, 405]
    assert paid == [200, 200, 429, 429, 429]
    assert looked == ["k1", "k1"]  # of what was let in: the unread one, and the only repetition


@pytest.mark.parametrize("key", ["", "x" * 129])
async def test_a_key_has_1_to_128_characters(http: httpx.AsyncClient, key: str) -> None:
    assert (await pay(http, key)).status_code == 422
    assert await balance(http) == 0


async def test_a_request_that_no_single_document_answers_is_done_once_too(http: httpx.AsyncClient) -> None:
    await http.post("/accounts", json={"id": "other"})
    for account in ("acc", "other"):
        await pay(http, f"pay-{account}", account=account)
    key = {"Idempotency-Key": "close"}
    first = await http.post("/accounts/all/close", headers=key)
    assert [(account["id"], account["balance"]) for account in first.json()] == [("acc", 0), ("other", 0)]
    await pay(http, "k2")
    answers = [await http.post("/accounts/all/close", headers=key) for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, first.json())] * 2
    assert answers[0].headers["idempotency-replayed"] == "true"
    assert await balance(http) == 5


def test_a_key_that_would_be_kept_with_another_answer_than_the_routes_is_a_bug_and_says_so() -> None:
    """What is committed on the way was given for the answer: the first of two persons, for both."""
    view = AccountView(id="acc", version=1, balance=5)
    for declared, fits in ((AccountView, True), (LettersView, False), (list[AccountView], False)):
        scope = {"path": "/accounts", "route": SimpleNamespace(response_model=declared)}
        request = RequestKey("k1", "print", scope, str)
        request.check_answers(NotFound(kind="accounts"))  # a refusal that is remembered
        with nullcontext() if fits else pytest.raises(RuntimeError, match="not the answer"):
            request.check_answers(view)
