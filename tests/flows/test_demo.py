"""`jinguo demo` shows the platform, not its own client."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from rich.console import Console

from jinguo import demo
from shared.local.child import free_port
from shared.local.client import Client
from tests.kit.running import flow_settings, serving

HOUSEHOLDS = 100
CPU_SECONDS = 20 / 2000
"""That a household may cost the client."""


@pytest.fixture
def url(mongodb_uri: str, tmp_path: Path) -> Iterator[str]:
    with serving(flow_settings(mongodb_uri, tmp_path)) as url:
        yield url


async def test_the_dashboards_agree_and_the_client_costs_next_to_nothing(url: str) -> None:
    console = Console(file=io.StringIO(), width=100)
    before = time.thread_time()
    assert await demo.run(url, {"households": HOUSEHOLDS}, 7, console)
    assert (time.thread_time() - before) / HOUSEHOLDS < CPU_SECONDS
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert f"{HOUSEHOLDS} households" in shown and "看板一致" in shown


async def test_a_platform_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(ConnectionError):
        await demo.run(f"http://127.0.0.1:{free_port()}", {}, 7, Console(file=io.StringIO()))


# ── the client ───────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[Client]:
    """A client of a server that gives the next answer to whatever it is asked, then hangs up."""
    left, serving_them = list(answers), set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving_them.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n") and left:
                writer.write(left.pop(0))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", 2)
        yield client
        client.close()
        await asyncio.gather(*serving_them)


PLAIN = b"HTTP/1.1 201 Created\r\ncontent-length: 7\r\n\r\n" + b'{"a":1}'
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"


async def test_answers_of_every_framing_are_read_over_connections_that_are_kept() -> None:
    async with answering(PLAIN, CHUNKED, LAST, PLAIN) as client:
        answers = [await client.request("GET", "/", params={"q": "中"}) for _ in range(4)]
        assert [(answer.status, answer.json()) for answer in answers] == [
            (201, {"a": 1}),
            (200, [1, 2]),
            (200, {}),
            (201, {"a": 1}),
        ]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"no HTTP"])
async def test_a_connection_that_breaks_is_an_error_and_the_next_request_has_a_new_one(answer: bytes) -> None:
    async with answering(*[answer] * bool(answer)) as client:
        with pytest.raises((ConnectionError, TimeoutError)):
            async with asyncio.timeout(1):
                await client.request("POST", "/", json={"a": 1})
        with pytest.raises(ConnectionError):
            await client.request("POST", "/", json={"a": 1})
