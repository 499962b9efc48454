"""A patient reads all that is held about her, and is erased: what is kept for her is free again."""

import pytest

from tests.services.referrals.desk import NAME, SUMMARY, Desk, Who, in_days


async def test_she_reads_what_is_held_and_that_is_a_reading_too(desk: Desk) -> None:
    referral = await desk.triaged()
    [held] = await desk.seen(Who.PATIENT, "/me")
    [record] = held["records"]["referrals"]
    assert (record["id"], record["name"], record["summary"]) == (referral, NAME, SUMMARY)
    assert [(reading["by"], reading["view"]) for reading in held["records"]["readings"]] == [
        ("patient", "patient")
    ]
    assert await desk.seen(Who.NEIGHBOUR, "/me") == []
    assert (await desk.get(Who.BREAST, "/me")).status_code == 403


async def test_erased_she_is_in_no_queue_and_her_bed_is_free(desk: Desk) -> None:
    await desk.beds(1)
    referral = await desk.triaged()
    await desk.done(Who.BREAST, f"/referrals/{referral}/accept", {})
    await desk.done(Who.BREAST, f"/referrals/{referral}/offer-bed", {"admission_day": in_days(3)})
    [proof] = await desk.done(Who.PATIENT, "/me/erase")
    assert proof["records"]["referrals"] == 1
    assert await desk.seen(Who.PATIENT, "/me") == []
    assert await desk.done(Who.PATIENT, "/me/erase") == []
    row = await desk.store.database["referrals"].find_one({"_id": referral})
    assert row and row["state"] == "cancelled" and row["bed"] == 0 and row["patient_key"] == ""
    context = f"referrals/{referral}"
    assert await desk.host.vault.open_box(row["patient"], row["sealed"], context) is None
    assert await desk.store.database["erasures"].find_one({"_id": row["patient"]})
    # Somebody else gets the bed.
    other = await desk.triaged(who=Who.NEIGHBOUR)
    await desk.done(Who.BREAST, f"/referrals/{other}/accept", {})
    offered = await desk.done(Who.BREAST, f"/referrals/{other}/offer-bed", {"admission_day": in_days(3)})
    assert offered["state"] == "bed_offered"


@pytest.mark.parametrize("move", ["cancel", "release-consult", "erase"])
async def test_a_slot_that_she_lets_go_of_does_not_name_her_account(desk: Desk, move: str) -> None:
    slot = await desk.slot()
    referral = await desk.booked(slot)
    body = None if move == "erase" else {"why": "patient-asked"}
    await desk.done(Who.PATIENT, f"/referrals/{referral}/{move}", body)
    assert await desk.slot_state(slot) == ("open", "")
    row = await desk.store.database["slots"].find_one({"_id": slot})
    assert row and Who.PATIENT not in [step["by"] for step in row["history"]]


async def test_two_referrals_erased_with_one_key_are_both_forgotten(desk: Desk) -> None:
    """The key of the request reached the change of the first, and the second was taken for a repetition."""
    referrals = [await desk.asked(), await desk.asked(department="head-neck-thyroid")]
    answer = await desk.post(Who.PATIENT, "/me/erase", **{"Idempotency-Key": "erase-all"})
    assert [proof["records"]["referrals"] for proof in answer.json()] == [1, 1]
    assert [await desk.state(referral) for referral in referrals] == ["cancelled", "cancelled"]
    assert await desk.listed(Who.PATIENT, "/referrals") == []
