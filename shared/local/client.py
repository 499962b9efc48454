"""A lean HTTP client for very many small requests over connections that are kept alive.

A whole campaign is signed through it: httpx takes some two milliseconds of CPU for a request, this a tenth.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import httptools
import orjson

SECONDS = 20
"""That an answer may take."""
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body read as JSON."""
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        """The body as it is."""
        return self.body.decode(errors="replace")


class Client:
    """Keeps up to `most` connections to the server at `url`; `headers` go with every request."""

    def __init__(self, url: str, most: int) -> None:
        parts = urlsplit(url)
        self.headers: dict[str, str] = {}
        self._host, self._netloc = parts.hostname or "127.0.0.1", parts.netloc
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._ssl else 80)
        self._base = parts.path.rstrip("/")
        self._free = asyncio.Semaphore(most)
        self._idle: list[_Connection] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask and wait for the answer. Raises ConnectionError, TimeoutError: whether it took effect is not
        known then."""
        body, kind = (urlencode(form).encode(), FORM) if form else (b"", JSON)
        if json is not None:
            body = orjson.dumps(json)
        target = self._base + path + (f"?{urlencode(params)}" if params else "")
        told = {**self.headers, **(headers or {}), "content-type": kind, "content-length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        request = f"{method} {target} HTTP/1.1\r\nhost: {self._netloc}\r\n{lines}\r\n".encode() + body
        async with self._free, asyncio.timeout(SECONDS):
            connection = await self._connection()
            try:
                answer = await connection.ask(request)
            except BaseException:
                connection.transport.abort()
                raise
            self._idle.append(connection)
            return answer

    async def _connection(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(_Connection, self._host, self._port, ssl=self._ssl)
        except OSError as error:
            raise ConnectionError(str(error)) from error
        return made

    def close(self) -> None:
        """Hang up."""
        for connection in self._idle:
            connection.transport.close()
        self._idle.clear()


class _Connection(asyncio.Protocol):
    """One request at a time."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._answer: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []
        self._parser: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        """Send a request."""
        self._answer = asyncio.get_running_loop().create_future()
        self._body, self._parser = [], httptools.HttpResponseParser(self)
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.connection_lost(ConnectionError(str(error)))
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("the server hung up"))

    # What httptools calls.

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.transport.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._parser.get_status_code(), b"".join(self._body)))
