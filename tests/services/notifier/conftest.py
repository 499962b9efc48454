"""The notifier on a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.notifier.app import service
from shared.host import Host
from tests.kit.hosts import over_asgi, running
from tests.kit.issuing import Issuing
from tests.kit.settings import settings_of
from tests.services.notifier.desk import PHONES, Desk


@pytest.fixture
async def host(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[Host]:
    settings = settings_of(mongodb_uri, tmp_path, issuer, show_outgoing_messages=True)
    async with running([service], settings) as notifier:
        yield notifier


@pytest.fixture
async def desk(host: Host, issuer: Issuing) -> AsyncIterator[Desk]:
    async with over_asgi(host) as http:
        desk = Desk(host, http, issuer)
        for person, phone in PHONES.items():
            await desk.knows(person, phone)
        yield desk
