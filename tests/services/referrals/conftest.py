"""The service on a real database."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from services.referrals.app import service
from shared.host import Host
from shared.settings import Settings
from tests.kit.issuing import Issuing
from tests.services.referrals.desk import Desk


@pytest.fixture
async def desk(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[Desk]:
    prefix = f"t{uuid4().hex[:12]}"
    settings = Settings(
        mongodb_uri=mongodb_uri,
        database_prefix=prefix,
        data_dir=tmp_path,
        oidc_issuer=issuer.url,
        master_key=base64.b64encode(b"k" * 32).decode(),
        command_timeout=10,
    )
    host = Host([service], settings, alone=True)
    transport = httpx.ASGITransport(app=host.app())
    try:
        await host.start()
        async with httpx.AsyncClient(transport=transport, base_url="http://town", timeout=30) as http:
            yield Desk(host, http, issuer)
    finally:
        for name in ("referrals", "log", "vault"):
            await host.client.drop_database(f"{prefix}_{name}")
        await host.stop()
