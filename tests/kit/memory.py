"""Folders in memory, for the data of servers that end with the test or the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory

MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that the servers of a run need."""


@contextmanager
def memory_folder(otherwise: Path) -> Iterator[Path]:
    """A folder in memory where there is room, else `otherwise`: for a disk, tests would mostly wait."""
    if not MEMORY.is_dir() or disk_usage(MEMORY).free < ROOM:
        otherwise.mkdir(parents=True, exist_ok=True)
        yield otherwise
        return
    with TemporaryDirectory(prefix="jinguo-test-", dir=MEMORY) as folder:
        yield Path(folder)
