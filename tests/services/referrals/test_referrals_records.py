"""Who sees what of a record; every reading is written down first; nothing lies about in clear."""

from datetime import timedelta
from typing import Any

import pytest

from shared.model.clock import moved
from tests.kit.problems import problem
from tests.services.referrals.desk import NAME, OPINION, PHONE, SUMMARY, Desk, Who, a_request, in_days

REASON = "患者昏迷送来急诊，需要立即了解病情"
PERSONAL = (NAME, PHONE, SUMMARY, OPINION, REASON, Who.PATIENT)


async def a_record(desk: Desk) -> str:
    """A referral with all that can be in it."""
    await desk.beds(2)
    referral = await desk.triaged()
    await desk.done(Who.BREAST, f"/referrals/{referral}/accept", {"opinion": OPINION})
    await desk.done(Who.BREAST, f"/referrals/{referral}/offer-bed", {"admission_day": in_days(3)})
    return referral


async def readings(desk: Desk, referral: str) -> list[tuple[str, str]]:
    """Who read what, newest first, as the patient is told."""
    view = await desk.seen(Who.PATIENT, f"/referrals/{referral}")
    return [(reading["by"], reading["view"]) for reading in view["readings"]]


# ── views ────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_coordinator_sees_whom_to_call_and_nothing_clinical(desk: Desk) -> None:
    referral = await a_record(desk)
    answer = await desk.get(Who.COORDINATOR, f"/referrals/{referral}/logistics")
    view = answer.json()
    assert (view["name"], view["phone"], view["offer"]["admission_day"]) == (NAME, PHONE, in_days(3))
    assert SUMMARY not in answer.text and OPINION not in answer.text
    for path in ("clinical", "fhir"):
        refused = await desk.get(Who.COORDINATOR, f"/referrals/{referral}/{path}")
        assert refused.status_code in (403, 404)
        assert SUMMARY not in refused.text


async def test_the_department_sees_what_she_has_and_not_how_to_reach_her(desk: Desk) -> None:
    referral = await a_record(desk)
    answer = await desk.get(Who.BREAST, f"/referrals/{referral}/clinical")
    view = answer.json()
    assert (view["name"], view["summary"], view["opinion"]) == (NAME, SUMMARY, OPINION)
    assert PHONE not in answer.text
    assert (await desk.get(Who.BREAST, f"/referrals/{referral}/logistics")).status_code == 403


async def test_the_patient_sees_both_and_who_read_it(desk: Desk) -> None:
    referral = await a_record(desk)
    await desk.seen(Who.COORDINATOR, f"/referrals/{referral}/logistics")
    await desk.seen(Who.BREAST, f"/referrals/{referral}/clinical")
    view = await desk.seen(Who.PATIENT, f"/referrals/{referral}")
    assert (view["name"], view["phone"], view["summary"], view["opinion"]) == (NAME, PHONE, SUMMARY, OPINION)
    assert [(reading["by"], reading["view"], reading["department"]) for reading in view["readings"]] == [
        ("patient", "patient", None),
        (Who.BREAST, "clinical", "breast"),
        (Who.COORDINATOR, "logistics", None),
    ]
    assert [own["id"] for own in await desk.listed(Who.PATIENT, "/referrals")] == [referral]


@pytest.mark.parametrize("who", [Who.NEIGHBOUR, Who.THYROID])
async def test_nobody_else_learns_that_there_is_a_record(desk: Desk, who: Who) -> None:
    referral = await a_record(desk)
    paths = {Who.NEIGHBOUR: ("", "/fhir"), Who.THYROID: ("/clinical", "/fhir")}[who]
    for path in paths:
        hidden = await desk.get(who, f"/referrals/{referral}{path}")
        absent = await desk.get(who, f"/referrals/{'x' * 32}{path}")
        assert (hidden.status_code, hidden.json()) == (404, absent.json())
    commands = {
        Who.NEIGHBOUR: [("cancel", {"why": "other"}), ("erase", None), ("confirm-offer", None)],
        Who.THYROID: [("admit", None), ("complete", {}), ("fail", {"why": "other"})],
    }[who]
    for command, body in commands:
        assert (await desk.post(who, f"/referrals/{referral}/{command}", body)).status_code == 404
    assert await desk.state(referral) == "bed_offered"
    assert await readings(desk, referral) == [("patient", "patient")]
    assert await desk.listed(Who.NEIGHBOUR, "/referrals") == []


async def test_queues_and_answers_to_commands_name_nobody(desk: Desk) -> None:
    referral = await a_record(desk)
    body = {"why": "no-capacity"}
    answers = [
        await desk.get(Who.COORDINATOR, "/queues/coordinator"),
        await desk.get(Who.BREAST, "/queues/department"),
        await desk.post(Who.BREAST, f"/referrals/{referral}/return-offer", body),
        await desk.get(Who.PATIENT, "/referrals"),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert not [word for word in PERSONAL if word in answer.text]


async def test_a_clinician_changes_beds_of_the_own_department_only(desk: Desk) -> None:
    answer = await desk.http.put(
        "/referrals/departments/breast/beds", json={"beds": 3}, headers=desk.headers(Who.THYROID)
    )
    assert (answer.status_code, problem(answer)) == (403, "forbidden")


async def test_a_coordinator_asks_for_a_patient_without_an_account(desk: Desk) -> None:
    referral = await desk.asked(Who.COORDINATOR)
    assert await desk.listed(Who.PATIENT, "/referrals") == []
    view = await desk.seen(Who.COORDINATOR, f"/referrals/{referral}/logistics")
    assert view["name"] == NAME


async def test_an_answer_is_repeated_for_its_own_caller_only(desk: Desk) -> None:
    referral = await desk.asked()
    path, body = f"/referrals/{referral}/cancel", {"why": "patient-asked"}
    key = {"Idempotency-Key": "one-key"}
    first = await desk.post(Who.PATIENT, path, body, **key)
    assert (await desk.post(Who.PATIENT, path, body, **key)).json() == first.json()
    assert (await desk.post(Who.NEIGHBOUR, path, body, **key)).status_code == 404
    nobody = await desk.http.post(f"/referrals{path}", json=body, headers=key)
    forged = desk.headers(Who.PATIENT)["Authorization"].rpartition(".")[0] + ".c2lnbmVkIGJ5IG5vYm9keQ"
    answer = await desk.http.post(f"/referrals{path}", json=body, headers=key | {"Authorization": forged})
    assert (nobody.status_code, answer.status_code) == (401, 401)
    hers = await desk.post(Who.COORDINATOR, path, body, **key)  # a key of her own: she is told what is
    assert (hers.status_code, problem(hers)) == (409, "illegal-move")


# ── readings ─────────────────────────────────────────────────────────────────────────────────────────


async def test_what_cannot_be_recorded_is_not_read(desk: Desk) -> None:
    referral = await a_record(desk)
    paths = [
        (Who.COORDINATOR, f"/referrals/{referral}/logistics"),
        (Who.BREAST, f"/referrals/{referral}/clinical"),
        (Who.BREAST, f"/referrals/{referral}/fhir"),
        (Who.PATIENT, f"/referrals/{referral}"),
    ]
    database = desk.store.database
    await database.command("collMod", "readings", validator={"_id": "nothing fits"})
    for who, path in paths:
        answer = await desk.get(who, path)
        assert (answer.status_code, problem(answer)) == (503, "not-recorded")
        assert not [word for word in PERSONAL if word in answer.text]
    await database.command("collMod", "readings", validator={})
    for who, path in paths:
        await desk.get(who, path)
    assert len(await readings(desk, referral)) == len(paths) + 1


# ── emergencies ──────────────────────────────────────────────────────────────────────────────────────


async def broken(desk: Desk, referral: str) -> dict[str, Any]:
    path = f"/referrals/{referral}/break-glass"
    return dict(await desk.done(Who.THYROID, path, {"reason": REASON}))


async def test_in_an_emergency_the_glass_is_broken_for_an_hour_and_reviewed(desk: Desk) -> None:
    referral = await a_record(desk)
    assert problem(await desk.post(Who.BREAST, f"/referrals/{referral}/break-glass", {"reason": REASON})) == (
        "not-needed"
    )
    assert (await desk.post(Who.THYROID, f"/referrals/{referral}/break-glass", {})).status_code == 422
    grant = await broken(desk, referral)
    view = await desk.seen(Who.THYROID, f"/referrals/{referral}/clinical")
    assert view["summary"] == SUMMARY
    with moved(timedelta(minutes=61)):
        assert (await desk.get(Who.THYROID, f"/referrals/{referral}/clinical")).status_code == 404

    [waiting] = await desk.listed(Who.DATA_OFFICER, "/emergencies")
    assert (waiting["id"], waiting["by"], waiting["state"]) == (grant["id"], Who.THYROID, "open")
    assert (await desk.seen(Who.DATA_OFFICER, f"/emergencies/{grant['id']}"))["reason"] == REASON
    await desk.done(Who.DATA_OFFICER, f"/emergencies/{grant['id']}/review", {"justified": False})
    again = await desk.post(Who.DATA_OFFICER, f"/emergencies/{grant['id']}/review", {"justified": True})
    assert problem(again) == "illegal-move"
    assert await desk.listed(Who.DATA_OFFICER, "/emergencies") == []
    assert await desk.told(grant["id"]) == ["record.break-glass", "record.break-glass-reviewed"]

    told = (await desk.seen(Who.PATIENT, f"/referrals/{referral}"))["readings"]
    emergency = [(r["by"], r["view"], r["reason"]) for r in told if r["emergency"]]
    assert emergency == [(Who.DATA_OFFICER, "review", REASON), (Who.THYROID, "clinical", REASON)]


async def test_a_review_that_nobody_makes_is_told_once(desk: Desk) -> None:
    grant = await broken(desk, await a_record(desk))
    with moved(timedelta(hours=73)):
        for _ in range(2):
            await desk.fall_due()
    assert (await desk.told(grant["id"])).count("record.break-glass-overdue") == 1
    [waiting] = await desk.listed(Who.DATA_OFFICER, "/emergencies")
    assert waiting["overdue"]


# ── nothing in clear, nothing after an erasure ───────────────────────────────────────────────────────


async def everything_stored(desk: Desk) -> str:
    """All databases of the platform but the vault, as text; sealed boxes are bytes and match no word."""
    text = ""
    for name in ("referrals", "log"):
        database = desk.host.client[f"{desk.host.settings.database_prefix}_{name}"]
        for collection in await database.list_collection_names():
            text += str(await database[collection].find({}).to_list(None))
    return text


async def test_nothing_personal_is_stored_or_sent_in_clear(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    referral = await a_record(desk)
    await broken(desk, referral)
    await desk.seen(Who.THYROID, f"/referrals/{referral}/clinical")
    await desk.seen(Who.PATIENT, f"/referrals/{referral}")
    key = {"Idempotency-Key": "k1"}
    await desk.post(Who.PATIENT, f"/referrals/{referral}/confirm-offer", **key)
    await desk.post(Who.NEIGHBOUR, "/referrals", a_request(summary=SUMMARY), **{"Idempotency-Key": "k2"})
    metrics = (await desk.http.get("/metrics/")).text
    written = capsys.readouterr()
    stored = await everything_stored(desk)
    assert referral in stored
    for word in PERSONAL:
        assert word not in stored + metrics + written.out + written.err, word
    for name, event in await desk.events():
        known = {"referral_id", "patient", "department", "was", "state", "day", "division", "sealed", "beds",
                 "waited_days", "expires_at", "starts_at", "grant_id", "slot_id"}  # fmt: skip
        assert set(event) <= known, name
        assert event.get("division") in (None, "330802")


async def test_an_erased_patient_is_gone_and_what_was_kept_for_her_is_free(desk: Desk) -> None:
    referral = await a_record(desk)
    view = await desk.done(Who.PATIENT, f"/referrals/{referral}/erase")
    assert (view["state"], await desk.free_beds()) == ("cancelled", 2)
    assert (await desk.get(Who.PATIENT, f"/referrals/{referral}")).status_code == 404
    assert problem(await desk.get(Who.BREAST, f"/referrals/{referral}/clinical")) == "no-longer-read"
    assert (await desk.told(referral))[-2:] == ["referral.cancelled", "patient.erased"]


async def test_in_the_ward_too_she_can_be_forgotten_and_keeps_her_bed(desk: Desk) -> None:
    referral = await a_record(desk)
    await desk.done(Who.BREAST, f"/referrals/{referral}/admit")
    view = await desk.done(Who.PATIENT, f"/referrals/{referral}/erase")
    assert (view["state"], await desk.free_beds()) == ("admitted", 1)
    assert (await desk.get(Who.PATIENT, f"/referrals/{referral}")).status_code == 404
    seen = await desk.seen(Who.BREAST, f"/referrals/{referral}/clinical")
    assert (seen["name"], seen["summary"], seen["opinion"]) == (None, None, None)
    view = await desk.done(Who.BREAST, f"/referrals/{referral}/complete", {})
    assert (view["state"], await desk.free_beds()) == ("completed", 2)
