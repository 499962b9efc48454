"""The service on a real database."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.kit.issuing import Issuing
from tests.services.pledges.replicas import Replicas
from tests.services.pledges.town import Town, running_town


@pytest.fixture
async def town(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[Town]:
    async with running_town(mongodb_uri, tmp_path, issuer) as running:
        yield running


@pytest.fixture
def town_of_two(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> Iterator[Replicas]:
    town = Replicas(mongodb_uri, tmp_path, issuer)
    town.run(town.open())
    yield town
    town.run(town.close())
    town.ended()
