"""A person reads what all services hold about them, in one document, and is erased by all of them."""

import base64
import io
from typing import Any

import httpx
from canaries import records
from rich.console import Console
from running import bearer, serving

from jinguo import demo
from jinguo.connection import Platform
from jinguo.operations import audit, settled
from shared.events import Event, decode
from shared.identity import Role
from shared.log.wire import from_record

HOUSEHOLDS, SEED = 5, 11


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

            assert await boxes_that_open(platform, pledged["person"])
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


async def boxes_that_open(platform: Platform, person: str) -> int:
    """How many events about a person can be opened, wherever events lie."""
    envelopes = [e for archive in platform.archives.values() for e in await archive.read(0, 100_000)]
    if platform.settings.kafka_bootstrap_servers:
        for source in platform.archives:
            envelopes += [from_record(r)[0] async for r in records(platform.settings, source)]
    vault, found = Platform(platform.client, platform.settings).vault, 0  # with no key at hand
    for event in map(decode, envelopes):
        if isinstance(event, Event) and event.sealed and event.person_id == person:
            context, box = event.type, base64.b64decode(event.sealed)
            found += await vault.open_box(person, box, context) is not None
    return found


async def read(http: httpx.AsyncClient, who: dict[str, str]) -> dict[str, Any]:
    answer = await http.get("/me", headers=who)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def nothing_opens(platform: Platform, pledge: dict[str, Any]) -> None:
    """Neither the document nor its events, in the archives and on Kafka; the proof stays."""
    assert await boxes_that_open(platform, pledge["signer"]) == 0
    row = await platform.stores["pledges"].database["pledges"].find_one({"_id": pledge["id"]})
    assert row and "identities" in row and row["identities"] == []
    context = f"pledges/{pledge['id']}"
    assert await platform.vault.open_box(pledge["signer"], row["sealed"], context) is None
    for service in ("pledges", "notifier"):
        kept = await platform.stores[service].database["erasures"].find_one({"_id": pledge["signer"]})
        assert kept and kept["at"]
