"""Errors over HTTP are problem documents that say what is wrong and nothing else."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.host import Host
from shared.http.middleware import MAX_BODY
from shared.local.child import free_port
from tests.shared import toy
from tests.shared.toy_hosts import Hosts, toy_settings


@pytest.fixture
async def http(plain_hosts: Hosts) -> AsyncIterator[httpx.AsyncClient]:
    host = await plain_hosts.prepare()
    transport = httpx.ASGITransport(app=host.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://toy/ledger") as client:
        yield client


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert {"type", "title"} <= body.keys()
    return body


async def test_malformed_json_is_422(http: httpx.AsyncClient) -> None:
    answer = await http.post("/accounts", content=b'{"id":', headers={"content-type": "application/json"})
    assert problem(answer, 422)["errors"]


@pytest.mark.parametrize("body", [b'{"id": "\xff"}', b"[" * 60_000, b"nonsense"])
async def test_a_body_that_is_no_json_is_422_too(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/accounts", content=body, headers={"content-type": "application/json"})
    [error] = problem(answer, 422)["errors"]
    assert error["field"].startswith("body")
    assert " / " in error["message"]


async def test_errors_are_told_in_chinese_and_english(http: httpx.AsyncClient) -> None:
    told = problem(await http.post("/accounts", json={"colour": 1, "due_in": "soon"}), 422)["errors"]
    assert len(told) >= 3
    assert all(re.search(r"[\u4e00-\u9fff].* / .*[a-z]", error["message"]) for error in told)


async def test_an_unknown_field_is_422_and_named(http: httpx.AsyncClient) -> None:
    answer = await http.post("/accounts", json={"id": "acc", "colour": "13905700000"})
    [error] = problem(answer, 422)["errors"]
    assert error["field"] == "body.colour"
    assert "13905700000" not in answer.text, "the input may be personal"


async def test_a_value_out_of_range_is_422_and_named(http: httpx.AsyncClient) -> None:
    answer = await http.post("/accounts/acc/payments", json={"amount": 1001})
    assert [error["field"] for error in problem(answer, 422)["errors"]] == ["body.amount"]


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "large"}], ids=["plain", "with a key"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_above_what_every_route_takes_is_413(
    http: httpx.AsyncClient, key: dict[str, str], chunked: bool
) -> None:
    body = b'{"id": "' + b"x" * MAX_BODY + b'"}'

    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    headers = {"content-type": "application/json", **key}
    answer = await http.post("/accounts", content=in_chunks() if chunked else body, headers=headers)
    assert problem(answer, 413)["limit"] == MAX_BODY


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_route_that_says_so_takes_more_and_no_byte_above_that(
    http: httpx.AsyncClient, chunked: bool
) -> None:
    async def in_chunks(size: int) -> AsyncIterator[bytes]:
        for start in range(0, size, 65536):
            yield b"x" * min(65536, size - start)

    async def put(size: int, path: str = "/accounts/acc/picture") -> httpx.Response:
        return await http.put(path, content=in_chunks(size) if chunked else b"x" * size)

    assert (await put(toy.LARGE)).json() == toy.LARGE
    assert problem(await put(toy.LARGE + 1), 413)["limit"] == toy.LARGE


async def test_a_missing_document_and_an_unknown_path_are_404(http: httpx.AsyncClient) -> None:
    assert problem(await http.get("/accounts/nobody"), 404)["kind"] == "accounts"
    problem(await http.get("/nowhere"), 404)
    problem(await http.get("http://toy/nowhere"), 404)


async def test_a_wrong_method_is_405(http: httpx.AsyncClient) -> None:
    problem(await http.delete("/accounts/acc"), 405)


async def test_a_bug_is_500_and_leaks_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.get("/bug")
    assert problem(answer, 500)["type"].endswith("/internal")
    assert "secret" not in answer.text
    assert "Error" not in answer.text


async def test_a_taken_fact_is_409_and_names_the_document_that_has_it(http: httpx.AsyncClient) -> None:
    assert (await http.post("/accounts", json={"id": "one", "nickname": "桂花"})).status_code == 201
    answer = await http.post("/accounts", json={"id": "other", "nickname": "桂花"})
    taken = problem(answer, 409)
    assert (taken["type"].rpartition("/")[2], taken["existing"]) == ("already-exists", "one")
    again = problem(await http.post("/accounts", json={"id": "one"}), 409)  # of its id nothing is told
    assert (again["type"].rpartition("/")[2], "existing" in again) == ("already-exists", False)


async def test_an_outdated_if_match_is_412_and_tells_the_current_version(http: httpx.AsyncClient) -> None:
    await http.post("/accounts", json={"id": "acc"})
    first = await http.post("/accounts/acc/payments", json={"amount": 5}, headers={"If-Match": '"1"'})
    assert first.headers["etag"] == '"2"'
    stale = await http.post("/accounts/acc/payments", json={"amount": 5}, headers={"If-Match": '"1"'})
    assert problem(stale, 412)["current"] == '"2"'
    assert (await http.get("/accounts/acc")).json() == {"id": "acc", "version": 2, "balance": 5}


async def test_without_mongodb_the_answer_is_503_with_retry_after(tmp_path: Path) -> None:

    settings = toy_settings(f"mongodb://127.0.0.1:{free_port()}/?directConnection=true", None, tmp_path)
    host = Host([toy.service], settings.model_copy(update={"command_timeout": 1.8}))
    transport = httpx.ASGITransport(app=host.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://toy") as client:
        answer = await client.get("/ledger/accounts/acc")
        assert problem(answer, 503)["type"].endswith("/unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/live")).status_code == 200
    host.client.close()
