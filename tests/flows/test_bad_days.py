"""The database dies, and callers err: each is told what is the matter, and nothing is lost."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jinguo.connection import Platform
from jinguo.operations import audit, settled
from shared.http.middleware import MAX_BODY
from shared.local.mongod import Mongod
from shared.mongo.driver import connect
from shared.settings import Settings
from tests.kit.problems import problem
from tests.kit.running import SIGNING, a_campaign, a_form, bearer, flow_settings, serving
from tests.kit.waiting import eventually

ANSWER_SECONDS = 2.5
JSON = {"Content-Type": "application/json"}


async def opened(http: httpx.AsyncClient) -> dict[str, Any]:
    """A campaign to sign for."""
    answer = await http.post("/pledges/campaigns", json=a_campaign())
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


# ── the database dies ────────────────────────────────────────────────────────────────────────────


async def sign(http: httpx.AsyncClient, campaign: str, number: int) -> None:
    """Household `number` signs; a moment's 503 is asked again with the same key."""

    async def done(path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        async def attempt() -> httpx.Response | None:
            answer = await http.post(path, json=body, headers={"Idempotency-Key": key})
            assert answer.status_code < 300 or answer.status_code == 503, answer.text
            return answer if answer.is_success else None

        return dict((await eventually(attempt)).json())

    async def code() -> str | None:
        answer = await http.get("/notifier/outgoing.json", params={"pledge_id": pledge["id"]})
        return answer.json()[0]["code"] if answer.is_success and answer.json() else None

    path = f"/pledges/campaigns/{campaign}/pledges"
    pledge = await done(path, a_form(number), f"sign-{number}")
    proof = {"code": await eventually(code)}
    verified = await done(f"/pledges/signings/{pledge['id']}/verify", proof, f"verify-{number}")
    assert verified["state"] == "counted"


async def check_audit(settings: Settings) -> None:
    client = connect(str(settings.mongodb_uri))
    try:
        platform = Platform(client, settings)
        assert await settled(platform, 40)
        drift, compared = await audit(platform)
    finally:
        client.close()
    assert drift == []
    assert compared > 0


async def check_outage(http: httpx.AsyncClient, campaign: str) -> None:
    """While there is no database every command is refused in time, and the process lives on."""
    for number in range(2):
        began = time.monotonic()
        answer = await http.post(f"/pledges/campaigns/{campaign}/pledges", json=a_form(100 + number))
        assert time.monotonic() - began < ANSWER_SECONDS
        assert answer.status_code == 503
        assert problem(answer) == "unavailable"
        assert int(answer.headers["retry-after"]) > 0
    unsure = {"Idempotency-Key": "perhaps-done"}
    for answer in (
        await http.post(f"/pledges/campaigns/{campaign}/pledges", json={"name": 5}, headers=unsure),
        await http.get("/notifier/dashboards/pledges"),
    ):
        assert (answer.status_code, problem(answer)) == (503, "unavailable")
        assert answer.elapsed.total_seconds() < ANSWER_SECONDS
    assert (await http.get("/health/live")).status_code == 200
    ready = await http.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["parts"]["mongodb"] == "down"


async def test_a_dead_database_is_told_in_time_and_the_platform_recovers_by_itself(
    own_mongod: Mongod, tmp_path: Path
) -> None:
    settings = flow_settings(own_mongod.uri, tmp_path)
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=20, headers=bearer(url) | SIGNING) as http:
            campaign = (await opened(http))["id"]
            await sign(http, campaign, 1)
            own_mongod.kill()
            await check_outage(http, campaign)
            own_mongod.restart()

            async def ready() -> bool:
                return (await http.get("/health/ready")).status_code == 200

            await eventually(ready)
            await sign(http, campaign, 2)
            await check_audit(settings)
            board = (await http.get("/notifier/dashboards/pledges")).json()
            assert board["totals"]["signed"] == 2


# ── callers err ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def url(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bad_days")
    with serving(flow_settings(mongodb_uri, folder, command_timeout=10)) as url:
        yield url


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=30, headers=bearer(url) | SIGNING) as http:
        yield http


@pytest.mark.parametrize("length", ["told", "untold"])
async def test_a_body_above_what_every_route_takes_is_refused(http: httpx.AsyncClient, length: str) -> None:
    body = b'{"title": "' + b"a" * MAX_BODY + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    content = body if length == "told" else pieces()
    answer = await http.post("/pledges/campaigns", content=content, headers=JSON)
    assert answer.status_code == 413
    assert problem(answer) == "too-large"
    assert answer.json()["limit"] == MAX_BODY


async def test_malformed_json_is_refused_with_the_place(http: httpx.AsyncClient) -> None:
    answer = await http.post("/pledges/campaigns", content=b'{"title": "a",', headers=JSON)
    assert answer.status_code == 422
    assert problem(answer) == "invalid-request"
    (error,) = answer.json()["errors"]
    assert error["kind"] == "json_invalid"
    assert error["field"].startswith("body")


async def test_an_unknown_field_is_refused_by_its_name(http: httpx.AsyncClient) -> None:
    answer = await http.post("/pledges/campaigns", json=a_campaign() | {"titel": "公筷"})
    assert answer.status_code == 422
    assert problem(answer) == "invalid-request"
    assert [(error["field"], error["kind"]) for error in answer.json()["errors"]] == [
        ("body.titel", "extra_forbidden")
    ]


async def test_a_change_to_an_outdated_version_is_refused(http: httpx.AsyncClient) -> None:
    campaign = await opened(http)
    path, stale = f"/pledges/campaigns/{campaign['id']}/texts", {"If-Match": f'"{campaign["version"]}"'}
    assert (await http.post(path, json={"text": "第二版"}, headers=stale)).status_code == 201
    answer = await http.post(path, json={"text": "第三版"}, headers=stale)
    assert answer.status_code == 412
    assert problem(answer) == "stale-version"
    texts = (await http.get(f"/pledges/campaigns/{campaign['id']}")).json()["texts"]
    assert [text["text"] for text in texts] == ["我家用公筷公勺。", "第二版"]


async def test_a_repeated_request_has_one_effect_and_one_answer(http: httpx.AsyncClient) -> None:
    body = a_campaign() | {"title": "只此一次"}
    key = {"Idempotency-Key": "once"}
    first = await http.post("/pledges/campaigns", json=body, headers=key)
    again = await http.post("/pledges/campaigns", json=body, headers=key)
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotency-replayed"] == "true"

    other = await http.post("/pledges/campaigns", json=body | {"title": "另一个"}, headers=key)
    assert other.status_code == 422
    assert problem(other) == "idempotency-key-reused"

    titles = [campaign["title"] for campaign in (await http.get("/pledges/campaigns")).json()["items"]]
    assert titles.count("只此一次") == 1
    assert "另一个" not in titles
