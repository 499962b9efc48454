"""A person reads what all services hold about them, in one document, and is erased by all of them."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from running import bearer, flow_settings, serving

from jinguo import demo
from jinguo.connection import Platform
from jinguo.operations import audit, settled
from shared.identity import Role
from shared.store.driver import connect

HOUSEHOLDS, SEED = 5, 11


@pytest.fixture
async def platform(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[Platform]:
    client = connect(mongodb_uri)
    yield Platform(client, flow_settings(mongodb_uri, tmp_path))
    client.close()


async def test_what_is_held_is_read_in_one_document_and_erased_everywhere(platform: Platform) -> None:
    with serving(platform.settings) as url:
        assert await demo.run(url, HOUSEHOLDS, SEED, Console(file=io.StringIO()))
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            assert (await http.get("/me")).status_code == 401
            assert (await http.get("/me", headers=bearer(url))).status_code == 403
            [campaign, *_] = (await http.get("/pledges/campaigns")).json()
            form = demo.households(HOUSEHOLDS, SEED, campaign["id"])[0].form
            mine = bearer(url, Role.RESIDENT, None, phone=f"+86{form['phone']}")
            assert await settled(platform, 60)
            [pledged] = (await read(http, mine))["pledges"]
            [pledge] = pledged["records"]["pledges"]
            assert {name: pledge[name] for name in ("name", "phone", "door")} == {
                name: form[name] for name in ("name", "phone", "door")
            }
            [known] = (await read(http, mine))["notifier"]
            assert known["person"] == pledged["person"]
            assert "pledge.signed" in [message["template"] for message in known["records"]["messages"]]
            stranger = bearer(url, Role.RESIDENT, None, phone="+8613012345678")
            assert not any((await read(http, stranger)).values())

            shown = (await http.get("/notifier/dashboards/pledges")).json()["totals"]
            proof = (await http.post("/me/erase", headers=mine)).raise_for_status().json()
            assert [(p["person"], p["records"]["pledges"]) for p in proof["pledges"]] == [
                (pledge["signer"], 1)
            ]
            assert not any((await read(http, mine)).values())
            assert await settled(platform, 60)
            after = (await http.get("/notifier/dashboards/pledges")).json()["totals"]
            assert (after["signed"], after["withdrawn"]) == (shown["signed"], shown["withdrawn"] + 1)
            assert after["members"] == shown["members"]
    drift, compared = await audit(platform)
    assert drift == [] and compared
    await nothing_opens(platform, pledge)


async def read(http: httpx.AsyncClient, who: dict[str, str]) -> dict[str, Any]:
    answer = await http.get("/me", headers=who)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def nothing_opens(platform: Platform, pledge: dict[str, Any]) -> None:
    """Neither the document nor its events; the proof stays."""
    row = await platform.stores["pledges"].database["pledges"].find_one({"_id": pledge["id"]})
    assert row and "identities" in row and row["identities"] == []
    context = f"pledges/{pledge['id']}"
    assert await platform.vault.open_box(pledge["signer"], row["sealed"], context) is None
    for service in ("pledges", "notifier"):
        kept = await platform.stores[service].database["erasures"].find_one({"_id": pledge["signer"]})
        assert kept and kept["at"]
