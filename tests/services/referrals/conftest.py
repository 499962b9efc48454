"""The service on a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.referrals.app import service
from tests.kit.hosts import over_asgi, running
from tests.kit.issuing import Issuing
from tests.kit.settings import settings_of
from tests.services.referrals.desk import Desk


@pytest.fixture
async def desk(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[Desk]:
    settings = settings_of(mongodb_uri, tmp_path, issuer)
    async with running([service], settings) as host, over_asgi(host) as http:
        yield Desk(host, http, issuer)
