"""A person reads what all services hold about them, in one document, and is erased by all of them."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from jinguo import demo
from jinguo.connection import Platform
from jinguo.keys import apply_erasures
from jinguo.operations import audit, settled
from services.pledges.demo import households
from shared.http.identity import Role
from shared.log.wire import from_record
from shared.model.events import Event, decode
from shared.mongo.driver import connect
from tests.flows.canaries import records
from tests.kit.running import SIGNING, a_campaign, a_form, a_request, bearer, flow_settings, serving
from tests.kit.waiting import eventually

HOUSEHOLDS, SEED = 5, 11


async def test_what_is_held_is_read_in_one_document_and_erased_everywhere(platform: Platform) -> None:
    with serving(platform.settings) as url:
        assert await demo.run(url, {"households": HOUSEHOLDS}, SEED, Console(file=io.StringIO()))
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            assert (await http.get("/me")).status_code == 401
            assert (await http.get("/me", headers=bearer(url))).status_code == 403  # an officer
            [campaign, *_] = (await http.get("/pledges/campaigns")).json()["items"]
            form = households(HOUSEHOLDS, SEED, campaign["id"])[0].form
            mine = bearer(url, Role.RESIDENT, None, phone=f"+86{form['phone']}")
            assert await settled(platform, 60)
            [pledged] = (await read(http, mine))["pledges"]
            [pledge] = pledged["records"]["pledges"]
            assert {name: pledge[name] for name in ("name", "phone", "door")} == {
                name: form[name] for name in ("name", "phone", "door")
            }
            [known] = (await read(http, mine))["notifier"]
            assert known["person"] == pledged["person"]
            assert "pledge.signed" in [message["kind"] for message in known["records"]["messages"]]
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


async def test_who_has_an_account_only_is_told_by_all_and_erased(mongodb_uri: str, tmp_path: Path) -> None:
    """Neither a phone that was never verified nor one from abroad keeps a person from her rights."""
    with serving(flow_settings(mongodb_uri, tmp_path)) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            for scopes in ({}, {"phone": "+4915112345678"}):
                mine = bearer(url, Role.RESIDENT, None, subject=f"patient{len(scopes)}", **scopes)
                asked = await http.post("/referrals/referrals", json=a_request(), headers=mine)
                assert asked.status_code == 201, asked.text
                [held] = (await read(http, mine))["referrals"]
                assert held["records"]["referrals"][0]["name"] == "周桂花"
                person = {"subject": f"patient{len(scopes)}", "signed_in": "600"} | scopes
                refused = await http.post("/me/erase", headers=bearer(url, Role.RESIDENT, None, **person))
                assert refused.status_code == 401
                assert 'max_age="300"' in refused.headers["WWW-Authenticate"]  # as the services say it
                proof = (await http.post("/me/erase", headers=mine)).raise_for_status().json()
                assert [p["person"] for p in proof["referrals"]] == [held["person"]]

                async def nothing_is_held(mine: dict[str, str] = mine) -> bool:
                    return not any((await read(http, mine)).values())

                await eventually(nothing_is_held)  # the notifier hears of it a moment later


async def test_who_forgets_a_phone_does_not_destroy_what_another_service_holds(
    mongodb_uri: str, tmp_path: Path
) -> None:
    settings = flow_settings(mongodb_uri, tmp_path)
    client = connect(mongodb_uri)
    platform = Platform(client, settings)
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            coordinator = bearer(url, Role.COORDINATOR, None)
            asked = await http.post("/referrals/referrals", json=a_request(), headers=coordinator)
            referral = f"/referrals/referrals/{asked.json()['id']}"
            claim = (await http.post(f"{referral}/claim", headers=coordinator)).json()["id"]
            assert await settled(platform, 60)
            [sent] = (await http.get("/notifier/outgoing.json", params={"claim_id": claim})).json()
            hers = bearer(url, Role.RESIDENT, None, subject="her-account")
            confirm = "/referrals/claims/confirm"
            assert (await http.post(confirm, json={"code": sent["code"]}, headers=hers)).is_success
            body = {"urgency": "routine"}
            assert (await http.post(f"{referral}/triage", json=body, headers=coordinator)).is_success
            assert await settled(platform, 60)
            [inbox] = (await http.get("/notifier/inboxes", headers=hers)).json()
            proof = (await http.post("/notifier/me/erase", headers=hers)).raise_for_status().json()
            assert [(p["person"], p["by"]) for p in proof] == [(inbox, "self")]
            assert (await http.get("/notifier/inboxes", headers=hers)).json() == []
            department = bearer(url, Role.CLINICIAN, None, department="breast")
            seen = await http.get(f"{referral}/clinical", headers=department)
            assert seen.json()["name"] == "周桂花"

            erased = await http.post(f"{referral}/erase", headers=coordinator)
            assert erased.is_success, erased.text
            logistics = await http.get(f"{referral}/logistics", headers=coordinator)
            assert (logistics.json()["state"], logistics.json()["name"]) == ("cancelled", None)
    kept = await platform.stores["referrals"].database["erasures"].find_one({"_id": inbox})
    assert kept and (kept["by"], kept["role"]) == ("coordinator", "coordinator")
    client.close()


async def test_whom_a_restored_backup_brought_back_is_erased_again_by_every_service(
    mongodb_uri: str, tmp_path: Path
) -> None:
    settings = flow_settings(mongodb_uri, tmp_path)
    client = connect(mongodb_uri)
    platform = Platform(client, settings)
    phone = "13857001234"
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30, headers=bearer(url) | SIGNING) as http:
            campaign = (await http.post("/pledges/campaigns", json=a_campaign())).json()["id"]
            form = a_form(1) | {"phone": phone}
            signed = await http.post(f"/pledges/campaigns/{campaign}/pledges", json=form)
            hers = bearer(url, Role.RESIDENT, None, subject="patient-1", phone=f"+86{phone}")
            assert (await http.post("/referrals/referrals", json=a_request(), headers=hers)).is_success
            assert await settled(platform, 60)
            pledge = signed.json()["id"]
            [sent] = (await http.get("/notifier/outgoing.json", params={"pledge_id": pledge})).json()
            verify = f"/pledges/signings/{pledge}/verify"
            assert (await http.post(verify, json={"code": sent["code"]})).is_success
            assert await settled(platform, 60)
            backup = await everything(platform)
            assert (await http.post("/me/erase", headers=hers)).is_success
            assert await settled(platform, 60)
    erased = await platform.vault.erased()
    assert len(erased) == 2
    await restore(platform, backup)
    deleted, marked = await apply_erasures(platform, erased)
    assert (deleted, marked) == (2, 4)  # a pledge, a referral, and an inbox of each
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            hers = bearer(url, Role.RESIDENT, None, subject="patient-1", phone=f"+86{phone}")
            assert not any((await read(http, hers)).values())
            assert (await http.get("/notifier/inboxes", headers=hers)).json() == []
            assert await settled(platform, 60)
    referral = await platform.stores["referrals"].database["referrals"].find_one({})
    assert referral and (referral["state"], referral["patient_key"]) == ("cancelled", "")
    drift, compared = await audit(platform)
    assert drift == [] and compared
    client.close()


Backup = dict[str, dict[str, list[dict[str, Any]]]]
"""By database and collection: the documents."""


async def everything(platform: Platform) -> Backup:
    found: Backup = {}
    for name in await platform.client.list_database_names():
        if name.startswith(f"{platform.settings.database_prefix}_"):
            database = platform.client[name]
            found[name] = {
                collection: await database[collection].find().to_list(None)
                for collection in await database.list_collection_names()
            }
    return found


async def restore(platform: Platform, backup: Backup) -> None:
    for name, collections in backup.items():
        for collection in await platform.client[name].list_collection_names():
            await platform.client[name][collection].delete_many({})
        for collection, rows in collections.items():
            if rows:
                await platform.client[name][collection].insert_many(rows)


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
