"""What attackers of every class meet."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from issuing import Issuing
from pledges_town import Town, running_town
from whole_city import City, running_city


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
