"""The service on a real database."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from issuing import Issuing
from pledges_town import KEPT, Town
from replicas import Replicas

from services.pledges.app import service
from shared.host import Host
from shared.mongod import Mongod
from shared.settings import Settings


@pytest.fixture
async def town(mongodb_uri: str, tmp_path: Path, issuer: Issuing) -> AsyncIterator[Town]:
    prefix = f"t{uuid4().hex[:12]}"
    settings = Settings(
        mongodb_uri=mongodb_uri,
        database_prefix=prefix,
        data_dir=tmp_path,
        oidc_issuer=issuer.url,
        master_key=base64.b64encode(b"k" * 32).decode(),
        public_requests_per_minute=0,
        command_timeout=10,
    )
    host = Host([service], settings, alone=True)
    transport = httpx.ASGITransport(app=host.app())
    try:
        await host.start()
        async with httpx.AsyncClient(transport=transport, base_url="http://town", timeout=30) as http:
            http.headers.update(issuer.bearer() | KEPT)
            yield Town(host, http, issuer)
    finally:
        for name in ("pledges", "log", "vault"):
            await host.client.drop_database(f"{prefix}_{name}")
        await host.stop()


@pytest.fixture
def town_of_two(mongod: Mongod, tmp_path: Path, issuer: Issuing) -> Iterator[Replicas]:
    town = Replicas(mongod, tmp_path, issuer)
    town.run(town.open())
    yield town
    town.run(town.close())
    town.ended()
