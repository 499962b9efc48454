"""The notifier on a real database."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from services.notifier.app import service
from shared.host import Host
from shared.settings import Settings
from tests.kit.issuing import Issuing
from tests.services.notifier.desk import PHONES, Desk


@pytest.fixture
async def host(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[Host]:
    prefix = f"t{uuid4().hex[:12]}"
    settings = Settings(
        MONGODB_URI=mongodb_uri,
        database_prefix=prefix,
        data_dir=tmp_path,
        oidc_issuer=issuer.url,
        show_outgoing_messages=True,
        public_requests_per_minute=0,
        command_timeout=10,
    )
    host = Host([service], settings, alone=True)
    await host.start()
    try:
        yield host
    finally:
        for name in ("notifier", "log", "vault"):
            await host.client.drop_database(f"{prefix}_{name}")
        await host.stop()


@pytest.fixture
async def desk(host: Host, issuer: Issuing) -> AsyncIterator[Desk]:
    transport = httpx.ASGITransport(app=host.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://town", timeout=30) as http:
        desk = Desk(host, http, issuer)
        for person, phone in PHONES.items():
            await desk.knows(person, phone)
        yield desk
