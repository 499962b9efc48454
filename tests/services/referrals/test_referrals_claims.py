"""What the coordinator wrote down for who spoke by phone becomes hers: with a code, in her own account."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx

from shared.contracts.referrals import PatientClaimIssued
from shared.http.claiming import CODES_A_DAY, TRIES_A_DAY
from shared.http.identity import Role
from shared.model.claims import MINUTES
from shared.model.clock import moved
from tests.kit.problems import problem
from tests.services.referrals.desk import NAME, PHONE, SUMMARY, Desk, Who

HER, ANOTHER = "her-account", "another-account"
WRONG = {"code": "00000-00000"}


async def code_of(desk: Desk, claim: str) -> str:
    """The code of a claim, opened from its event as the notifier does."""
    [(_, data)] = [found for found in await desk.events(claim) if found[0] == "patient.claim-issued"]
    event = PatientClaimIssued.model_validate(data)
    await desk.host.vault.open_event(event)
    assert event.code and event.phone
    return event.code


async def started(desk: Desk, referral: str) -> dict[str, Any]:
    claim: dict[str, Any] = await desk.done(Who.COORDINATOR, f"/referrals/{referral}/claim")
    return claim


async def bring(desk: Desk, who: str, code: str) -> httpx.Response:
    return await desk.post(who, "/claims/confirm", {"code": code})


async def test_with_the_code_it_is_hers_and_before_it_was_nobodys(desk: Desk) -> None:
    referral = await desk.asked(Who.COORDINATOR)
    assert await desk.listed(HER, "/referrals") == []
    claim = await started(desk, referral)
    assert (claim["state"], claim["queue"], claim["legal"]) == ("open", "claimant", ["confirm", "lapse"])
    assert not (await desk.seen(Who.COORDINATOR, f"/referrals/{referral}/logistics"))["claimed"]
    code = await code_of(desk, claim["id"])
    assert code not in str(claim)

    view = await desk.done(HER, "/claims/confirm", {"code": f" {code.lower().replace('-', ' ')} "})
    assert (view["id"], view["state"]) == (referral, "requested")
    assert [found["id"] for found in await desk.listed(HER, "/referrals")] == [referral]
    mine = await desk.seen(HER, f"/referrals/{referral}")
    assert (mine["name"], mine["summary"]) == (NAME, SUMMARY)
    [step] = mine["history"]
    assert (step["move"], step["source"], step["target"], step["by"]) == (
        "claim",
        "requested",
        "requested",
        "patient",
    )
    assert (await desk.seen(Who.COORDINATOR, f"/referrals/{referral}/logistics"))["claimed"]
    told = dict(await desk.events(referral))["patient.claimed"]
    assert told["sealed"] and set(told) == {"division", "sealed", "referral_id", "patient", "day"}
    for name, data in (*(await desk.events(referral)), *(await desk.events(claim["id"]))):
        assert HER not in str(data) and PHONE not in str(data) and code not in str(data), name
    assert (await bring(desk, ANOTHER, code)).status_code == 422  # a code is good once
    assert (await desk.post(HER, f"/referrals/{referral}/erase")).is_success


async def test_two_who_bring_one_code_at_the_same_instant_do_not_both_get_it(desk: Desk) -> None:
    referral = await desk.asked(Who.COORDINATOR)
    code = await code_of(desk, (await started(desk, referral))["id"])
    answers = await asyncio.gather(bring(desk, HER, code), bring(desk, ANOTHER, code))
    assert sorted(answer.is_success for answer in answers) == [False, True]
    found = [len(await desk.listed(who, "/referrals")) for who in (HER, ANOTHER)]
    assert found == [int(answer.is_success) for answer in answers]


async def test_a_claim_that_nobody_confirms_lapses_and_another_can_be_started(desk: Desk) -> None:
    referral = await desk.asked(Who.COORDINATOR)
    claim = (await started(desk, referral))["id"]
    code = await code_of(desk, claim)
    with moved(timedelta(minutes=MINUTES, seconds=1)):
        late = await bring(desk, HER, code)
        assert (late.status_code, problem(late)) == (422, "wrong-code")
        await desk.fall_due()
        row = await desk.store.database["claims"].find_one({"_id": claim})
        assert row and (row["state"], row["code_key"], row["deadline"]) == ("lapsed", "", None)
        assert (await desk.told(claim)).count("patient.claim-lapsed") == 1
        again = await code_of(desk, (await started(desk, referral))["id"])
        assert (await bring(desk, HER, again)).is_success


async def test_guesses_are_counted_by_account_and_nothing_that_is_erased_gives_them_back(desk: Desk) -> None:
    referral = await desk.asked(Who.COORDINATOR)
    code = await code_of(desk, (await started(desk, referral))["id"])
    left = []
    for _ in range(TRIES_A_DAY - 1):
        left.append((await bring(desk, ANOTHER, WRONG["code"])).json()["tries_left"])
    assert left == list(range(TRIES_A_DAY - 1, 0, -1))
    own = await desk.asked(ANOTHER, department="head-neck-thyroid")
    assert (await desk.post(ANOTHER, f"/referrals/{own}/erase")).is_success
    answers = await asyncio.gather(*(bring(desk, ANOTHER, WRONG["code"]) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [422, 429, 429, 429, 429]
    refused = await bring(desk, ANOTHER, code)  # now the right one is not looked at either
    assert (refused.status_code, problem(refused)) == (429, "too-many-requests")
    assert 0 < int(refused.headers["Retry-After"]) <= 24 * 3600
    assert (await bring(desk, HER, code)).is_success  # a stranger's guesses keep nobody out
    with moved(timedelta(days=1)):
        assert (await bring(desk, ANOTHER, WRONG["code"])).status_code == 422


async def test_codes_to_one_phone_are_counted_over_all_that_was_written_down_for_it(desk: Desk) -> None:
    referral = await desk.asked(Who.COORDINATOR)
    for number in range(CODES_A_DAY):
        await started(desk, referral)
        if number == 2:
            assert (await desk.post(Who.COORDINATOR, f"/referrals/{referral}/erase")).is_success
            referral = await desk.asked(Who.COORDINATOR)
    refused = await desk.post(Who.COORDINATOR, f"/referrals/{referral}/claim")
    assert (refused.status_code, problem(refused)) == (429, "too-many-requests")
    elsewhere = await desk.asked(Who.COORDINATOR, phone="13857009999")
    assert (await desk.post(Who.COORDINATOR, f"/referrals/{elsewhere}/claim")).status_code == 201


async def test_what_belongs_to_an_account_or_to_nobody_is_not_claimed(desk: Desk) -> None:
    own = await desk.asked(Who.PATIENT)
    refused = await desk.post(Who.COORDINATOR, f"/referrals/{own}/claim")
    assert (refused.status_code, problem(refused)) == (409, "already-claimed")
    erased = await desk.asked(Who.COORDINATOR)
    code = await code_of(desk, (await started(desk, erased))["id"])
    await desk.done(Who.COORDINATOR, f"/referrals/{erased}/erase")
    gone = await desk.post(Who.COORDINATOR, f"/referrals/{erased}/claim")
    assert (gone.status_code, problem(gone)) == (410, "erased")
    assert (await bring(desk, HER, code)).status_code == 410
    assert await desk.listed(HER, "/referrals") == []
    nobody = await desk.post(Who.COORDINATOR, "/referrals/nothing/claim")
    assert (nobody.status_code, problem(nobody)) == (404, "not-found")
    for who in (HER, Who.BREAST):
        assert (await desk.post(who, f"/referrals/{own}/claim")).status_code == 403


async def test_what_she_has_asked_for_herself_is_not_asked_twice_by_a_claim(desk: Desk) -> None:
    own = await desk.asked(HER)
    written = await desk.asked(Who.COORDINATOR)
    code = await code_of(desk, (await started(desk, written))["id"])
    refused = await bring(desk, HER, code)
    assert (refused.status_code, problem(refused)) == (409, "already-exists")
    await desk.done(HER, f"/referrals/{own}/cancel", {"why": "patient-asked"})
    assert (await bring(desk, HER, code)).is_success  # the code was not used up
    assert {found["id"] for found in await desk.listed(HER, "/referrals")} == {own, written}


async def test_who_started_a_claim_does_not_bring_its_code(desk: Desk) -> None:
    referral = await desk.asked(Who.COORDINATOR)
    code = await code_of(desk, (await started(desk, referral))["id"])
    same = desk.issuer.bearer(Role.RESIDENT, None, subject=str(Who.COORDINATOR))
    answer = await desk.http.post("/referrals/claims/confirm", json={"code": code}, headers=same)
    assert (answer.status_code, problem(answer)) == (403, "own-claim")
    assert (await bring(desk, HER, code)).is_success


async def test_a_confirmation_is_repeated_with_its_key_and_a_code_has_ten_letters(desk: Desk) -> None:
    referral = await desk.asked(Who.COORDINATOR)
    code = await code_of(desk, (await started(desk, referral))["id"])
    key = {"Idempotency-Key": "once-and-again"}
    first, second = [await desk.post(HER, "/claims/confirm", {"code": code}, **key) for _ in range(2)]
    assert first.is_success and (first.status_code, first.json()) == (second.status_code, second.json())
    for typed in ("", "123", "ABCDE-FGHJU", "１２３"):
        refused = await bring(desk, HER, typed)
        assert (refused.status_code, problem(refused)) == (422, "invalid-request")
