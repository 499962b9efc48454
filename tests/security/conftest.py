"""What attackers of every class meet."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.kit.issuing import Issuing
from tests.security.whole_city import City, running_city
from tests.services.pledges.town import Town, running_town


@pytest.fixture
async def city(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[City]:
    async with running_city(mongodb_uri, tmp_path, issuer, show_outgoing_messages=True) as running:
        yield running


@pytest.fixture
async def http(city: City) -> httpx.AsyncClient:
    return city.http


@pytest.fixture
async def town(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[Town]:
    """The pledges alone, where nothing is counted by address."""
    async with running_town(mongodb_uri, tmp_path, issuer) as running:
        yield running
