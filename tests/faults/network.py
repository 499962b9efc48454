"""A wire between a worker and a server, which tests can cut: a small TCP proxy in a thread of its own."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any

from shared.local.child import free_port

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Wire:
    """Leads from `port` of 127.0.0.1 to the port `target` there.

    A silent cut is a black hole: what is sent stays in the wire, and so does the closing of a
    connection. Only that new connections are still accepted, by the kernel, differs from a cable that
    was pulled; no byte answers them.
    """

    def __init__(self, target: int, port: int | None = None) -> None:
        self.port = port or free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=f"wire to {target}", daemon=True)
        self._thread.start()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._links: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        """The connections, each with the writers to its two ends."""
        self._forgotten: list[asyncio.StreamWriter] = []
        self._server = self._run(asyncio.start_server(self._accept, "127.0.0.1", self.port))

    # ── what tests do to it ──────────────────────────────────────────────────────────────────────

    def silence(self) -> None:
        """Cut it so that nobody is told: everything hangs."""
        self._do(self._flowing.clear)

    def reset(self) -> None:
        """Cut it so that both ends are told: connections are reset, new ones too."""

        def reset() -> None:
            self._refusing = True
            for writers in self._links.values():
                for writer in writers:
                    _reset(writer)

        self._do(reset)

    def heal(self, *, forget: bool = False) -> None:
        """Let everything through again: from where it stopped, or as after a restarted firewall, which
        has forgotten the connections of before. Those hear nothing ever again."""

        def heal() -> None:
            if forget:
                for link, writers in list(self._links.items()):
                    self._forgotten += writers
                    writers.clear()  # they stay open
                    link.cancel()
            self._refusing = False
            self._flowing.set()

        self._do(heal)

    def close(self) -> None:
        """End it, and every connection through it."""
        self.reset()
        self._run(self._close())
        self._do(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ── in its thread ────────────────────────────────────────────────────────────────────────────

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _do(self, change: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(change)

    async def _close(self) -> None:
        self._server.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        for writer in self._forgotten:
            _reset(writer)
        await asyncio.sleep(0)  # aborted transports close at the loop's next turn

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        link = self._loop.create_task(self._link((reader, writer), writers))
        self._links[link] = writers
        link.add_done_callback(self._links.pop)

    async def _link(self, here: Stream, writers: list[asyncio.StreamWriter]) -> None:
        try:
            with suppress(OSError):
                await self._flowing.wait()
                if self._refusing:
                    return
                there = await asyncio.open_connection("127.0.0.1", self._target)
                writers.append(there[1])
                await _first_of(self._pump(here[0], there[1]), self._pump(there[0], here[1]))
        finally:
            for writer in writers:
                _reset(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            data = await reader.read(1 << 16)
            await self._flowing.wait()
            if not data:
                return
            writer.write(data)
            await writer.drain()


async def _first_of(*works: Awaitable[None]) -> None:
    """Until one of them ends or fails; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    end = writer.get_extra_info("socket")
    with suppress(OSError):  # closed already
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
