"""Between the parts: TLS and a password everywhere, and nobody gets further than their own."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from jinguo.database_users import create_users
from jinguo.kafka_rights import rights
from jinguo.services import named
from shared.host import Host
from shared.log.broker import Broker
from shared.log.kafka_clients import create_topics, end_offsets
from shared.mongo.driver import Client, OperationFailure, connect
from shared.settings import Settings
from tests.kit.issuing import Issuing
from tests.kit.running import SIGNING, a_campaign, a_form
from tests.kit.secured import ADMIN, Authority, SecuredBroker, SecuredMongod
from tests.kit.waiting import eventually

PASSWORDS = {"pledges": "pledges-password", "notifier": "notifier-password"}
AT_KAFKA = {user: f"{user}-password-for-kafka" for user in ("pledges", "notifier", "city")}
PREFIX = "secured"


class Parts(NamedTuple):
    """MongoDB and Kafka, secured."""

    mongod: SecuredMongod
    broker: SecuredBroker
    authority: Authority

    def settings(self, service: str, folder: Path, issuer: Issuing, anothers: str | None = None) -> Settings:
        """What a service is told; with the passwords of another."""
        return Settings(
            mongodb_uri=self.mongod.uri((service, PASSWORDS[anothers or service])),
            database_prefix=PREFIX,
            kafka_bootstrap_servers=self.broker.bootstrap,
            kafka_ca_file=self.authority.file,
            kafka_username=service,
            kafka_password=AT_KAFKA[anothers or service],
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
    ours = [right for right in rights(PREFIX) if {f"User:{user}" for user in AT_KAFKA} & {*right}]
    mongod, broker = SecuredMongod(folder, authority), SecuredBroker(folder, authority, AT_KAFKA, ours)
    mongod.start()
    try:
        broker.start()
        yield Parts(mongod, broker, authority)
    finally:
        broker.stop()
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
                transport=httpx.ASGITransport(app=host.app()),
                base_url="http://town",
                headers=issuer.bearer() | SIGNING,
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
        assert ready == {
            "status": "ready",
            "parts": {"mongodb": "up", "kafka": "up"},
            "standing_still": [],
        }


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
    with pytest.raises(OperationFailure, match="not authorized"):
        await as_pledges[f"{PREFIX}_vault"]["index"].delete_many({})
    with pytest.raises(OperationFailure, match="not authorized"):
        await log["archive_referrals"].find_one()  # it consumes nothing of theirs


async def test_anothers_password_is_refused_by_both(
    parts: Parts, users: None, tmp_path: Path, issuer: Issuing
) -> None:
    wrong = parts.settings("pledges", tmp_path, issuer, anothers="notifier")
    client = connect(str(wrong.mongodb_uri))
    with pytest.raises(OperationFailure, match="Authentication failed"):
        await client[f"{PREFIX}_pledges"]["campaigns"].find_one()
    client.close()
    with pytest.raises((KafkaError, TimeoutError)):
        await create_topics(Broker.of(wrong), ["secured.stolen"], 1)
    for secret in (*PASSWORDS.values(), *AT_KAFKA.values()):
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


def logged_in(parts: Parts, user: str) -> Broker:
    settings = Settings(
        mongodb_uri="mongodb://nobody",
        kafka_bootstrap_servers=parts.broker.bootstrap,
        kafka_ca_file=parts.authority.file,
        kafka_username=user,
        kafka_password=AT_KAFKA[user],
    )
    return Broker.of(settings)


async def wrote(broker: Broker, topic: str) -> bool:
    """Whether a record is accepted."""
    producer = AIOKafkaProducer(**broker.options, request_timeout_ms=10_000)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"forged", headers=[("ce_position", b"999999999")])
    except TopicAuthorizationFailedError:
        return False
    finally:
        await producer.stop()
    return True


async def read(broker: Broker, topic: str, group: str) -> bool:
    """Whether a member of a group gets what is there."""
    consumer = AIOKafkaConsumer(
        topic, **broker.options, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    try:
        await consumer.start()
        async with asyncio.timeout(20):
            return bool(await consumer.getone())
    except (TopicAuthorizationFailedError, GroupAuthorizationFailedError):
        return False
    finally:
        await consumer.stop()


async def test_nobody_writes_anothers_topic_and_other_systems_only_read(parts: Parts) -> None:
    pledges, notifier, city = (logged_in(parts, user) for user in AT_KAFKA)
    own = f"{PREFIX}.pledges"
    await create_topics(notifier, [own], 1)  # who comes first makes them, also to read
    assert await wrote(pledges, own)
    assert not await wrote(notifier, own)
    assert not await wrote(city, own)
    assert await read(city, own, "city.reader")
    about_health = f"{PREFIX}.referrals"
    await create_topics(notifier, [about_health], 1)
    assert await end_offsets(notifier, about_health)
    with pytest.raises((KafkaError, TimeoutError)):
        await end_offsets(city, about_health)
    said_nothing = f"{PREFIX}.notifier"  # closed because its service does not say that it is open
    await create_topics(notifier, [said_nothing], 1)
    assert await end_offsets(notifier, said_nothing)
    with pytest.raises((KafkaError, TimeoutError)):
        await end_offsets(city, said_nothing)
    assert await read(notifier, own, f"{PREFIX}.notifier.messages")
    assert not await read(city, own, f"{PREFIX}.notifier.messages")
    with pytest.raises(KafkaError):
        await create_topics(city, [f"{PREFIX}.more"], 1)
    with pytest.raises(KafkaError):
        await create_topics(pledges, ["elsewhere"], 1)
