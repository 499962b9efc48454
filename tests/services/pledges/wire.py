"""A line to MongoDB that loses what a test tells it to lose, so that the driver sees a really broken one."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections import deque
from contextlib import suppress
from enum import StrEnum

COMMAND_HEAD = 200
"""A command and its collection are named within so many bytes of a message."""
TURNS = 8
"""Of the loop, which asyncio takes for a connection to be made or lost."""


class Loss(StrEnum):
    """What of a write gets lost, with the connection it went over."""

    REQUEST = "request"
    """MongoDB never hears of it."""
    ANSWER = "answer"
    """MongoDB does it, and nobody is told."""


class Wire:
    """Forwards to MongoDB on `port`. `losses` strike the next bulk updates of `collection`, one each."""

    def __init__(self, port: int, collection: str) -> None:
        self._mongod_port = port
        name = collection.encode() + b"\0"
        self._struck = b"\x02update\0" + len(name).to_bytes(4, "little") + name
        self.losses: deque[Loss] = deque()
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._ends: set[StreamWriter] = set()

    async def open(self) -> str:
        """Listen; returns the address of the database over this wire."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"mongodb://127.0.0.1:{port}/?directConnection=true"

    async def close(self) -> None:
        """Cut every connection, and accept no more."""
        assert self._server
        for _ in range(TURNS):  # whoever is being let in gets a link: a closing server forgets their socket
            await asyncio.sleep(0)
        self._server.close()
        while self._links:  # a new one may have been on its way
            for end in self._ends:
                end.close()
            await asyncio.wait(self._links, timeout=0.05)
        for _ in range(TURNS):  # what was closed is let go of
            await asyncio.sleep(0)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        link = asyncio.get_running_loop().create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._ends.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._mongod_port)
            self._ends.add(far_writer)
            answer_lost = asyncio.Event()
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._requests(reader, writer, far_writer, answer_lost))
                pumps.create_task(self._answers(far_reader, writer, far_writer, answer_lost))
            self._ends.remove(far_writer)
        finally:
            writer.close()
            self._ends.remove(writer)

    async def _requests(
        self, reader: StreamReader, near: StreamWriter, far: StreamWriter, answer_lost: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while message := await reader.read(1 << 16):
                if self.losses and self._struck in message[:COMMAND_HEAD]:
                    if self.losses.popleft() is Loss.REQUEST:
                        break
                    answer_lost.set()
                far.write(message)
        near.close()
        far.close()

    async def _answers(
        self, reader: StreamReader, near: StreamWriter, far: StreamWriter, answer_lost: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while (message := await reader.read(1 << 16)) and not answer_lost.is_set():
                near.write(message)
        near.close()
        far.close()
