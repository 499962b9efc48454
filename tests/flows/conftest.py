"""What flows run on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jinguo.connection import Platform
from shared.mongo.driver import connect
from shared.settings import Settings
from tests.kit.running import flow_settings


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
