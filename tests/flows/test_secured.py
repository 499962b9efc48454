"""Between the parts: TLS and a password everywhere, and nobody gets further than their own."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from aiokafka.errors import KafkaError
from issuing import Issuing
from running import a_campaign, a_form, eventually
from secured import ADMIN, Authority, SecuredBroker, SecuredMongod

from jinguo.database_users import create_users
from jinguo.services import named
from shared.host import Host
from shared.log.broker import Broker
from shared.log.kafka_publisher import create_topics
from shared.settings import Settings
from shared.store.driver import Client, OperationFailure, connect

PASSWORDS = {"pledges": "pledges-password", "notifier": "notifier-password"}
PREFIX = "secured"


class Parts(NamedTuple):
    """MongoDB and Kafka, secured."""

    mongod: SecuredMongod
    broker: SecuredBroker
    authority: Authority

    def settings(self, service: str, folder: Path, issuer: Issuing, password: str | None = None) -> Settings:
        """What a service is told."""
        word = password or PASSWORDS[service]
        return Settings(
            mongodb_uri=self.mongod.uri((service, word)),
            database_prefix=PREFIX,
            kafka_bootstrap_servers=self.broker.bootstrap,
            kafka_ca_file=self.authority.file,
            kafka_username=service,
            kafka_password=word,
            data_dir=folder,
            master_key=base64.b64encode(b"k" * 32).decode(),
            oidc_issuer=issuer.url,
            show_outgoing_messages=True,
            command_timeout=10,
        )


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, kafka: object) -> Iterator[Parts]:
    """`kafka`: where there is none, there is none to be secured either."""
    folder: Path = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    mongod, broker = SecuredMongod(folder, authority), SecuredBroker(folder, authority, PASSWORDS)
    mongod.start()
    try:
        broker.start()
        yield Parts(mongod, broker, authority)
        broker.stop()
    finally:
        mongod.stop()


@pytest.fixture
async def users(parts: Parts) -> None:
    admin = connect(parts.mongod.uri(ADMIN))
    await create_users(admin, PREFIX, PASSWORDS)
    await create_users(admin, PREFIX, PASSWORDS)  # again is no change
    admin.close()


@pytest.fixture
async def as_pledges(parts: Parts, users: None) -> AsyncIterator[Client]:
    client = connect(parts.mongod.uri(("pledges", PASSWORDS["pledges"])))
    yield client
    client.close()


async def test_services_work_with_each_its_own_user(
    parts: Parts, users: None, tmp_path: Path, issuer: Issuing
) -> None:
    async with AsyncExitStack() as stack:
        https = []
        for name in PASSWORDS:
            host = Host(named(name), parts.settings(name, tmp_path, issuer))
            await host.start()
            stack.push_async_callback(host.stop)
            http = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=host.app()), base_url="http://town", headers=issuer.bearer()
            )
            https.append(await stack.enter_async_context(http))
        pledges, notifier = https
        campaign = (await pledges.post("/pledges/campaigns", json=a_campaign())).json()["id"]
        signed = await pledges.post(f"/pledges/campaigns/{campaign}/pledges", json=a_form(1))
        assert signed.status_code == 201

        async def sent() -> object:
            shown = await notifier.get("/notifier/outgoing.json", params={"pledge_id": signed.json()["id"]})
            return shown.json()

        assert await eventually(sent)
        ready = (await pledges.get("/health/ready")).json()
        assert ready == {"status": "ready", "parts": {"mongodb": "up", "kafka": "up"}}


async def test_a_service_reaches_nothing_that_is_anothers(as_pledges: Client) -> None:
    for database, collection in (
        ("notifier", "messages"),
        ("referrals", "referrals"),
        ("vault", "system.views"),
    ):
        with pytest.raises(OperationFailure, match="not authorized"):
            await as_pledges[f"{PREFIX}_{database}"][collection].find_one()
    log = as_pledges[f"{PREFIX}_log"]
    with pytest.raises(OperationFailure, match="not authorized"):
        await log["archive_notifier"].insert_one({"_id": 1})
    with pytest.raises(OperationFailure, match="not authorized"):
        await log["archive_pledges"].delete_many({})
    with pytest.raises(OperationFailure, match="not authorized"):
        await as_pledges[f"{PREFIX}_vault"]["keys"].update_many({}, {"$set": {"wrapped": b""}})
    assert await log["archive_notifier"].find_one() is None  # it may read what others publish


async def test_anothers_password_is_refused_by_both(
    parts: Parts, users: None, tmp_path: Path, issuer: Issuing
) -> None:
    wrong = parts.settings("pledges", tmp_path, issuer, password=PASSWORDS["notifier"])
    client = connect(str(wrong.mongodb_uri))
    with pytest.raises(OperationFailure, match="Authentication failed"):
        await client[f"{PREFIX}_pledges"]["campaigns"].find_one()
    client.close()
    with pytest.raises((KafkaError, TimeoutError)):
        await create_topics(Broker.of(wrong), ["secured.stolen"], 1)
    for secret in PASSWORDS.values():
        assert secret not in repr(wrong)


async def test_without_tls_nobody_is_let_in(parts: Parts) -> None:
    plain = connect(
        f"mongodb://pledges:{PASSWORDS['pledges']}@127.0.0.1:{parts.mongod.port}/?directConnection=true"
    )
    with pytest.raises(Exception, match=r"closed|reset|Timeout|timed out"):
        async with asyncio.timeout(10):
            await plain["secured_pledges"]["campaigns"].find_one()
    plain.close()
    with pytest.raises((KafkaError, TimeoutError)):
        await create_topics(Broker(parts.broker.bootstrap), ["secured.clear"], 1)
