"""What stands around every answer, of errors too; and what a connection goes through."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from shared.http.edge import DATA_POLICY, HSTS, front
from shared.http.middleware import MAX_BODY
from shared.local.child import free_port
from shared.settings import Settings, settings, use
from tests.shared import toy
from tests.shared.toy_hosts import Hosts

ON_EVERY_ANSWER = {
    "content-security-policy": DATA_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """The application behind a port, by the server of production. Yields the address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, http="httptools", lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


@pytest.fixture
async def toy_url(plain_hosts: Hosts) -> AsyncIterator[str]:
    plain_hosts.settings = plain_hosts.settings.model_copy(update={"public_writes_per_minute": 3})
    host = await plain_hosts.prepare()
    async with served(host.app()) as url:
        yield url


@pytest.fixture
def kept_settings() -> Iterator[Settings]:
    """Those in use, put back when the test is over."""
    before = settings()
    yield before
    use(before)


async def test_errors_carry_the_headers_of_every_answer_and_each_once(toy_url: str) -> None:
    async with httpx.AsyncClient(base_url=toy_url) as http:
        large = {"content": b"x" * (MAX_BODY + 1)}
        asked = [
            (404, await http.get("/nowhere")),
            (404, await http.get("/ledger/nowhere")),
            (405, await http.delete("/ledger/accounts/acc")),
            (413, await http.post("/ledger/accounts", **large)),
            (422, await http.post("/ledger/accounts", content=b"{")),
            (500, await http.get("/ledger/bug")),
        ]
        paid = [await http.post("/ledger/accounts/acc/payments", json={"amount": 1}) for _ in range(4)]
        asked.append((429, paid[-1]))
    for status, answer in asked:
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        for name, value in ON_EVERY_ANSWER.items():
            assert answer.headers.get_list(name) == [value], f"{status}: {name}"


async def test_a_request_behind_a_500_on_one_connection_is_answered(toy_url: str) -> None:
    """As gateways send them: both are under way before the first is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(toy_url.rpartition(":")[2]))
    for path in ("/ledger/bug", "/ledger/accounts/nobody", "/health/live"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: toy\r\n\r\n".encode())
    statuses = []
    async with asyncio.timeout(10):
        for _ in range(3):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            statuses.append(head.split()[1])
            length = next(line for line in head.splitlines() if line.startswith("content-length"))
            await reader.readexactly(int(length.split(":")[1]))
    writer.close()
    assert statuses == ["500", "404", "200"]


async def test_an_answer_that_fails_half_way_ends_with_its_connection() -> None:
    """There is no other way to say that something is missing."""

    async def half(_: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"the first half"
            raise RuntimeError("of the second")

        return StreamingResponse(parts())

    async with served(front([Route("/half", half)])) as url, httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{url}/half")


async def test_browsers_are_bound_to_tls_where_there_is_tls(kept_settings: Settings) -> None:
    routes = [Route("/", lambda _: PlainTextResponse("here"))]
    by_tls = {"X-Forwarded-Proto": "https"}  # the server trusts this machine's word
    async with served(front(routes)) as url, httpx.AsyncClient(base_url=url) as http:
        assert "strict-transport-security" not in (await http.get("/")).headers
        assert (await http.get("/", headers=by_tls)).headers["strict-transport-security"] == HSTS
    use(kept_settings.model_copy(update={"public_url": "https://women.quzhou.example"}))
    transport = httpx.ASGITransport(app=front(routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://town") as http:
        assert (await http.get("/")).headers["strict-transport-security"] == HSTS


async def test_head_is_answered_as_get_is_without_the_body(toy_url: str, plain_hosts: Hosts) -> None:
    host = await plain_hosts.prepare()
    await toy.opened(host.stores["ledger"], "acc")
    async with httpx.AsyncClient(base_url=toy_url) as http:
        for path, status in (
            ("/ledger/accounts/acc", 200),
            ("/ledger/accounts/none", 404),
            ("/metrics/", 200),
        ):
            got, asked = await http.get(path), await http.head(path)
            assert asked.status_code == got.status_code == status
            assert asked.content == b"" and got.content
            differing = ("traceparent", "date", "transfer-encoding")
            same = [{n: v for n, v in a.headers.items() if n not in differing} for a in (asked, got)]
            assert same[0] == same[1], path
        assert (await http.head("/ledger/accounts")).status_code == 405  # which only POST knows


async def test_head_does_not_wait_for_a_stream_to_end() -> None:
    ended = asyncio.Event()

    async def endless(_: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"on and on"
                    await asyncio.sleep(0.01)
            finally:
                ended.set()

        return StreamingResponse(parts(), media_type="text/event-stream")

    async with served(front([Route("/stream", endless)])) as url, httpx.AsyncClient(timeout=10) as http:
        answer = await http.head(f"{url}/stream")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async with asyncio.timeout(10):
            await ended.wait()


async def test_405_names_all_methods_that_the_path_knows(toy_url: str) -> None:
    async with httpx.AsyncClient(base_url=toy_url) as http:
        answer = await http.delete("/ledger/accounts/acc")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"
        assert (await http.delete("/health/live")).headers["allow"] == "GET, HEAD"
