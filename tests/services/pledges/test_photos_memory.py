"""Small files that unpack to much: the process that takes them stays small."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from PIL import Image

from shared.local.child import end, free_port, spawn
from tests.kit.pictures import saved
from tests.kit.waiting import eventually
from tests.services.pledges.test_photos import checked_in
from tests.services.pledges.town import KEPT, Town

MOST = 400
"""MB, for the process and the decoder beside it."""


class Process:
    """A replica of the service in a process of its own, and what it and its children took at most."""

    def __init__(self, pid: int, http: httpx.AsyncClient) -> None:
        self.pid = pid
        self.http = http
        self.children = 0.0
        self.together = 0

    @property
    def own(self) -> float:
        return peak_of(self.pid)

    async def watch(self) -> None:
        """Each child is gone with its picture."""
        while True:
            peaks = [peak_of(child) for child in children_of(self.pid)]
            self.together = max(self.together, len(peaks))
            self.children = max([self.children, *peaks])
            await asyncio.sleep(0.01)

    async def put(self, path: str, uploads: Sequence[bytes]) -> list[int]:
        """All at once."""
        puts = [self.http.put(path, content=upload) for upload in uploads]
        return [answer.status_code for answer in await asyncio.gather(*puts)]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def peak_of(pid: int) -> float:
    """The most memory a process had, in MB; 0 when it is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) / 1000 if found else 0


@asynccontextmanager
async def a_process_of(town: Town) -> AsyncIterator[Process]:
    port, settings = free_port(), town.host.settings
    assert settings.mongodb_uri and settings.master_key
    environment = {
        "JINGUO_MONGODB_URI": settings.mongodb_uri,
        "JINGUO_DATABASE_PREFIX": settings.database_prefix,
        "JINGUO_MASTER_KEY": settings.master_key.get_secret_value(),
        "JINGUO_PUBLIC_REQUESTS_PER_MINUTE": "0",
        "JINGUO_OIDC_ISSUER": town.issuer.url,
        "JINGUO_PORT": str(port),
    }
    given = [f"{name}={value}" for name, value in environment.items()]
    served = spawn(["/usr/bin/env", *given, sys.executable, "-m", "jinguo", "serve", "pledges"])
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=60, headers=KEPT) as http:

            async def answers() -> bool:
                try:
                    return (await http.get("/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers, 60)
            process = Process(served.pid, http)
            watching = asyncio.create_task(process.watch())
            yield process
            watching.cancel()
    finally:
        end(served, 10)


def worst_of_what_is_taken() -> list[bytes]:
    """What unpacks to most for each format, and what is largest."""
    whole = Image.new("RGBA", (4000, 4000), "tomato")
    wide = Image.new("RGB", (8160, 6120))
    noise = Image.effect_noise((3100, 3100), 90)
    return [
        saved(whole, "PNG", compress_level=1),
        saved(whole.convert("P"), "PNG", compress_level=1),
        saved(Image.new("RGBA", (4096, 3072), (1, 2, 3, 4)), "WEBP", lossless=True, method=0),
        saved(Image.new("RGB", (5712, 4284)), "HEIF", quality=10),
        saved(wide, "JPEG", progressive=True, subsampling=0),
        saved(wide, "JPEG", progressive=True),
        *[saved(noise, "PNG", compress_level=0)] * 2,
    ]


async def test_eight_worst_pictures_at_once_leave_the_process_small(town: Town) -> None:
    path = await checked_in(town)
    bomb = saved(Image.new("RGB", (6320, 6320), "tomato"), "PNG")
    assert len(bomb) < 160_000
    async with a_process_of(town) as process:
        before = process.own
        assert await process.put(path, [bomb] * 8) == [422] * 8
        told = await process.put(path, worst_of_what_is_taken())
        assert set(told) <= {204, 422} and told.count(204) >= 6, told
        assert process.own < before + 60, "what is sent is held once, and not by the process itself"
        assert process.own + process.children < MOST, (process.own, process.children)
        assert process.children > 100, "the children were watched"
        assert process.together == 1
        assert (await process.http.get(path)).status_code == 200
