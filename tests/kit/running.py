"""The whole platform behind a port, in a thread with a loop of its own: what its users and operators see."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from jinguo.issuer import PATH
from jinguo.up import application
from shared.city.divisions import communities
from shared.http.identity import Role
from shared.local.child import free_port
from shared.model.clock import now
from shared.settings import Settings
from tests.kit.issuing import somebody
from tests.kit.settings import settings_of

START_SECONDS = 60
COMMUNITY = communities()[0].code
SIGNING = {"Signing-Key": "kept-by-the-household-that-signs"}
"""What a household's device chose, and brings again."""


def flow_settings(mongodb_uri: str, folder: Path, **changes: Any) -> Settings:
    """Settings with a database prefix of their own, and codes to be read as the demo reads them."""
    return settings_of(mongodb_uri, folder, command_timeout=1.8).model_copy(update=changes)


@contextmanager
def serving(settings: Settings, port: int | None = None) -> Iterator[str]:
    """Run every service on `port`, or on a free one. Yields the address."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"

    def app() -> Starlette:  # called in the server's loop, to which the driver binds itself
        return application(settings.model_copy(update={"public_url": url, "port": port}))

    config = uvicorn.Config(
        app,
        factory=True,
        port=port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="platform", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the platform did not start"
            time.sleep(0.02)
        yield url
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the platform did not stop"


def bearer(url: str, role: Role = Role.CITY_OFFICER, org: str | None = None, **scopes: str) -> dict[str, str]:
    """The headers of a made-up person."""
    form = {"grant_type": "client_credentials"} | somebody(role, org, **scopes).model_dump(exclude_none=True)
    answer = httpx.post(f"{url}{PATH}/token", data=form).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def a_campaign() -> dict[str, str]:
    """The body that opens a campaign which runs now."""
    return {
        "title": "公筷公勺进家庭",
        "text": "我家用公筷公勺。",
        "opens_at": (now() - timedelta(days=1)).isoformat(),
        "closes_at": (now() + timedelta(days=60)).isoformat(),
    }


def a_form(number: int) -> dict[str, Any]:
    """The form of household `number` of one community."""
    return {
        "community": COMMUNITY,
        "door": f"{number}幢1单元101室",
        "name": "王小明",
        "role": "hostess",
        "phone": f"138{number:08d}",
        "members": 3,
        "text_version": 1,
        "consent": True,
    }


def a_request(**changes: Any) -> dict[str, Any]:
    """What a patient of the green channel fills in."""
    return {
        "department": "breast",
        "county": "330802",
        "name": "周桂花",
        "phone": "13857001234",
        "delayed_since": "2020-02-01",
        "summary": "左乳外上象限肿块3厘米，穿刺提示恶性",
        "health_consent": True,
        "hospital_consent": True,
    } | changes
