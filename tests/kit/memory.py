"""Folders in memory, for the data of servers that end with the test or the run."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from tests.kit.servers import Lock

MEMORY = Path("/dev/shm")
PREFIX = "jinguo-test-"
ROOM = 4 * 2**30
"""Bytes that the servers of a run need."""


@contextmanager
def memory_folder(otherwise: Path) -> Iterator[Path]:
    """A folder in memory where there is room, else `otherwise`: for a disk, tests would mostly wait."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        otherwise.mkdir(parents=True, exist_ok=True)
        yield otherwise
        return
    folder, ours = _made()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        ours.close()


def _made() -> tuple[Path, Lock]:
    """A new one, locked as long as we live; those that killed runs left are removed."""
    making = Lock(MEMORY / "jinguo-test.lock")
    making.take()
    try:
        for old in MEMORY.glob(f"{PREFIX}*/held"):
            left = Lock(old)
            if left.taken():
                shutil.rmtree(old.parent, ignore_errors=True)
            left.close()
        folder = Path(mkdtemp(prefix=PREFIX, dir=MEMORY))
        ours = Lock(folder / "held")
        ours.take()
        return folder, ours
    finally:
        making.close()
