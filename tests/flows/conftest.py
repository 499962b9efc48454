"""What flows run on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from running import flow_settings

from jinguo.connection import Platform
from shared.local.mongod import Mongod
from shared.mongo.driver import connect
from shared.settings import Settings


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[Mongod]:
    """One that the test may harm."""
    node = Mongod.start(tmp_path / "mongod")
    yield node
    node.kill()


@pytest.fixture(params=["embedded", "kafka"])
def settings(request: pytest.FixtureRequest, mongodb_uri: str, tmp_path: Path) -> Settings:
    kafka = request.getfixturevalue("kafka").bootstrap if request.param == "kafka" else None
    return flow_settings(mongodb_uri, tmp_path, kafka_bootstrap_servers=kafka)


@pytest.fixture
async def platform(settings: Settings) -> AsyncIterator[Platform]:
    """What operators see of it."""
    client = connect(str(settings.mongodb_uri))
    yield Platform(client, settings)
    client.close()
