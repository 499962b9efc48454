"""What flows run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.mongod import Mongod


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[Mongod]:
    """One that the test may harm."""
    node = Mongod.start(tmp_path / "mongod")
    yield node
    node.kill()
