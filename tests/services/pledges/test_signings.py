"""From the form to the chain."""

import asyncio
from datetime import datetime, timedelta

import httpx
import orjson
import pytest

from services.pledges.domain.pledge import Pledge
from shared.contracts.pledges import PledgeSigned, SignerErased
from shared.model.clock import moved, now
from tests.kit.problems import problem
from tests.services.pledges.town import COMMUNITY, ELSEWHERE, Town, a_form, a_name


def another(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


async def test_a_verified_household_is_counted_under_the_next_serial(town: Town) -> None:
    campaign = await town.campaign()
    pledge = await town.sign(campaign)
    assert (pledge["state"], pledge["queue"], pledge["serial"]) == ("pending", "signer", None)
    first = (await town.verify(pledge["id"])).json()
    assert (first["state"], first["queue"], first["serial"]) == ("counted", "household", 1)
    assert (await town.counted(campaign))["serial"] == 2
    assert (await town.counted(campaign, community=ELSEWHERE))["serial"] == 1
    signed = await town.events(PledgeSigned.type, pledge["id"])
    assert [(event["serial"], event["division"], event["members"]) for event in signed] == [(1, COMMUNITY, 3)]


async def test_serials_have_no_gap_when_households_verify_at_once(town: Town) -> None:
    campaign = await town.campaign()
    pledges = [await town.sign(campaign) for _ in range(30)]
    answers = await asyncio.gather(*(town.verify(pledge["id"]) for pledge in pledges))
    assert sorted(answer.json()["serial"] for answer in answers) == list(range(1, 31))


async def test_nothing_personal_is_stored_sent_or_answered_in_clear(town: Town) -> None:
    campaign = await town.campaign()
    pledge = await town.counted(campaign, name="欧阳春晓", door="七号楼三零二")
    form = town.forms[pledge["id"]]
    stored = [doc async for doc in town.store.database["pledges"].find()]
    events = [await town.events(event.type) for event in town_events()]
    text = repr(stored) + repr(events) + repr(pledge)
    for personal in (form["name"], form["phone"], form["door"], await town.code(pledge["id"])):
        assert personal not in text.replace(pledge["id"], "")


def town_events() -> list[type]:
    from shared.model.events import Event

    return [event for event in Event.registry.values() if event.source == "pledges"]


async def test_a_wrong_code_is_refused_and_after_five_only_a_new_one_helps(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    path = f"/signings/{pledge['id']}"
    code = await town.code(pledge["id"])
    for tries_left in (4, 3, 2, 1, 0):
        answer = await town.post(f"{path}/verify", {"code": another(code)})
        assert (answer.status_code, problem(answer)) == (422, "wrong-code")
        assert answer.json()["tries_left"] == tries_left
    answer = await town.post(f"{path}/verify", {"code": code})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert (await town.post(f"{path}/code")).status_code == 429
    with moved(timedelta(seconds=61)):
        assert (await town.post(f"{path}/code")).status_code == 200
        assert (await town.verify(pledge["id"])).json()["state"] == "counted"


async def test_a_wrong_code_that_is_sent_again_with_its_key_costs_one_try(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    path, wrong = f"/signings/{pledge['id']}/verify", {"code": another(await town.code(pledge["id"]))}
    first = await town.post(path, wrong, key="guess")
    again = [await town.post(path, wrong, key="guess") for _ in range(6)]
    assert {(a.status_code, a.headers["Content-Type"], a.text) for a in again} == {
        (422, "application/problem+json", first.text)
    }
    assert (await town.post(path, wrong)).json()["tries_left"] == 3
    assert (await town.verify(pledge["id"])).json()["state"] == "counted"


async def test_one_key_for_two_kinds_of_things_answers_each_as_it_did(town: Town) -> None:
    campaign = await town.campaign()
    pledge = await town.counted(campaign)
    path, form = f"/signings/{pledge['id']}/check-ins", a_form()
    signed = await town.post(f"/campaigns/{campaign}/pledges", form, key="same")
    checked_in = await town.post(path, key="same")
    assert (signed.status_code, checked_in.status_code) == (201, 201)
    assert (await town.post(path, key="same")).json() == checked_in.json()
    assert (await town.post(f"/campaigns/{campaign}/pledges", form, key="same")).json() == signed.json()


async def test_after_the_window_no_form_comes_and_no_code_is_sent_any_more(town: Town) -> None:
    closes_at = now() + timedelta(minutes=5)
    campaign = await town.campaign(closes_at=closes_at.isoformat())
    pledge, counted = await town.sign(campaign), await town.counted(campaign)
    with moved(timedelta(minutes=6)):
        for answer in (
            await town.post(f"/signings/{pledge['id']}/code"),
            await town.post(f"/signings/{counted['id']}/check-ins"),
            await town.post(f"/campaigns/{campaign}/pledges", a_form()),
        ):
            assert (answer.status_code, problem(answer)) == (409, "outside-window")
            assert datetime.fromisoformat(answer.json()["closes_at"]) <= closes_at
        await town.done(f"/signings/{counted['id']}/withdraw", {})


async def test_guesses_at_the_same_instant_are_each_counted(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    code = await town.code(pledge["id"])
    guesses = [f"{(int(code) + n) % 1_000_000:06}" for n in range(1, 30)]
    answers = await asyncio.gather(
        *(town.post(f"/signings/{pledge['id']}/verify", {"code": guess}) for guess in guesses)
    )
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(422), statuses.count(429)) == (5, 24)


async def test_a_code_expires_after_ten_minutes_and_an_older_one_is_dead(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    old = await town.code(pledge["id"])
    with moved(timedelta(minutes=10)):
        answer = await town.verify(pledge["id"])
        assert (answer.status_code, problem(answer)) == (422, "code-expired")
        assert (await town.post(f"/signings/{pledge['id']}/code")).status_code == 200
        new = await town.code(pledge["id"])
        if new != old:
            assert (await town.post(f"/signings/{pledge['id']}/verify", {"code": old})).status_code == 422
        assert (await town.post(f"/signings/{pledge['id']}/verify", {"code": new})).status_code == 200


async def test_codes_are_sent_five_times_a_day_at_most(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    statuses = []
    for minute in range(1, 6):
        with moved(timedelta(minutes=2 * minute)):
            statuses.append((await town.post(f"/signings/{pledge['id']}/code")).status_code)
    assert statuses == [200, 200, 200, 200, 429]


async def test_verifying_twice_is_an_illegal_move_but_a_repetition_is_answered_again(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    path, body = f"/signings/{pledge['id']}/verify", {"code": await town.code(pledge["id"])}
    first = await town.post(path, body, key="k1")
    again = await town.post(path, body, key="k1")
    assert first.status_code == again.status_code == 200
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await town.post(path, body)
    assert (other.status_code, problem(other)) == (409, "illegal-move")
    assert (other.json()["state"], other.json()["legal"]) == ("counted", ["withdraw", "invalidate"])


async def test_the_same_form_under_the_same_key_is_one_pledge(town: Town) -> None:
    campaign, form = await town.campaign(), a_form()
    answers = await asyncio.gather(
        *(town.post(f"/campaigns/{campaign}/pledges", form, key="form-1") for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await town.store.database["pledges"].count_documents({}) == 1


async def test_a_household_counts_once_for_each_text(town: Town) -> None:
    campaign = await town.campaign()
    first = await town.counted(campaign, door="3幢2单元501室")
    second = await town.sign(campaign, door="３-2-0501", name="李红")
    answer = await town.verify(second["id"])
    assert (answer.status_code, problem(answer)) == (409, "household-counted")
    assert (answer.json()["certificate"], answer.json()["serial"]) == (first["certificate"], 1)  # same key
    await town.done(f"/campaigns/{campaign}/texts", {"text": "我家餐餐用公筷公勺。"})
    third = await town.counted(campaign, door="3-2-501", name="李红", text_version=2)
    assert (third["text_version"], third["serial"]) == (2, 2)


async def test_a_form_counts_for_the_text_that_was_read_and_for_no_other(town: Town) -> None:
    campaign = await town.campaign(text="我家用公筷公勺。")
    path, read = f"/campaigns/{campaign}/pledges", a_form()
    await town.done(f"/campaigns/{campaign}/texts", {"text": "我家餐餐用公筷公勺。"})
    for version in (1, 3):
        answer = await town.post(path, read | {"text_version": version})
        assert (answer.status_code, problem(answer)) == (409, "another-text")
        assert (answer.json()["text_version"], answer.json()["text"]) == (2, "我家餐餐用公筷公勺。")
    assert (await town.done(path, read | {"text_version": 2}))["text_version"] == 2
    assert fields(await town.post(path, a_form(text_version=None))) == ["body.text_version"]


async def test_a_form_comes_with_a_key_that_the_household_keeps(town: Town) -> None:
    path = f"/campaigns/{await town.campaign()}/pledges"
    del town.http.headers["Signing-Key"]
    assert fields(await town.post(path, a_form())) == ["header.Signing-Key"]
    assert fields(await town.post(path, a_form(), **{"Signing-Key": "short"})) == ["header.Signing-Key"]


async def test_two_signers_share_a_phone_when_their_names_differ(town: Town) -> None:
    campaign, phone = await town.campaign(), "13777777777"
    await town.counted(campaign, phone=phone, door=None, name="张三")
    await town.counted(campaign, phone=phone, door=None, name="李四")
    again = await town.sign(campaign, phone=f"+86 {phone}", door=None, name="张 三")
    assert problem(await town.verify(again["id"])) == "household-counted"


async def test_a_household_that_verifies_two_forms_at_once_is_counted_once(town: Town) -> None:
    campaign = await town.campaign()
    pledges = [await town.sign(campaign, door="1-101", name=a_name(n)) for n in range(8)]
    answers = await asyncio.gather(*(town.verify(pledge["id"]) for pledge in pledges))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert (await town.counted(campaign))["serial"] == 2


async def test_outside_of_its_window_a_campaign_takes_no_form(town: Town) -> None:
    campaign = await town.campaign()
    for days in (-2, 61):
        with moved(timedelta(days=days)):
            answer = await town.post(f"/campaigns/{campaign}/pledges", a_form())
        assert (answer.status_code, problem(answer)) == (409, "outside-window")
        assert answer.json()["opens_at"] < answer.json()["closes_at"]


async def test_a_withdrawn_household_may_sign_again_under_a_new_serial(town: Town) -> None:
    campaign = await town.campaign()
    pledge = await town.counted(campaign, door="9-9")
    path, phone = f"/signings/{pledge['id']}/withdraw", town.forms[pledge["id"]]["phone"]
    another = {"Signing-Key": "of-another-household-that-signs"}
    assert problem(await town.post(path, {}, **another)) == "not-the-signer"
    assert (await town.done(path, {}))["state"] == "withdrawn"
    assert problem(await town.post(path, {})) == "illegal-move"
    assert (await town.counted(campaign, door="9-9", phone=phone))["serial"] == 2


async def test_an_erased_signer_leaves_nothing_but_a_used_serial(town: Town) -> None:
    campaign = await town.campaign()
    pledge = await town.counted(campaign, door="8-8")
    path, form = f"/signings/{pledge['id']}/erase", town.forms[pledge["id"]]
    assert (
        problem(await town.post(path, **{"Signing-Key": "of-another-household-that-signs"}))
        == "not-the-signer"
    )
    erased = await town.done(path)
    assert (erased["state"], erased["serial"]) == ("withdrawn", 1)
    stored = await town.store.load(Pledge, pledge["id"])
    await town.store.unseal(stored)
    assert (stored.name, stored.phone, stored.door) == (None, None, None)
    assert stored.phone_key == f"erased|{pledge['id']}"
    assert len(await town.events(SignerErased.type)) == 1
    with pytest.raises(AssertionError):
        await town.code(pledge["id"])
    assert (await town.counted(campaign, door="8-8", phone=form["phone"]))["serial"] == 2


async def test_after_an_erasure_that_stopped_halfway_nothing_is_kept_about_the_signer(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    path = f"/signings/{pledge['id']}"
    await town.store.vault.erase((await town.store.load(Pledge, pledge["id"])).signer)
    with moved(timedelta(minutes=2)):
        answer = await town.post(f"{path}/code")
        assert (answer.status_code, problem(answer)) == (410, "erased")
    assert (await town.done(f"{path}/erase"))["state"] == "withdrawn"


async def test_a_stale_version_is_refused(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    answer = await town.http.get(f"/pledges/signings/{pledge['id']}")
    assert answer.headers["ETag"] == '"1"'
    code = {"code": await town.code(pledge["id"])}
    path = f"/signings/{pledge['id']}/verify"
    assert (await town.post(path, code, **{"If-Match": '"7"'})).status_code == 412
    counted = await town.post(path, code, **{"If-Match": '"1"'})
    assert (counted.status_code, counted.headers["ETag"]) == (200, '"2"')


def fields(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["field"] for error in answer.json()["errors"]]


async def test_what_is_wrong_with_a_form_is_named_and_never_repeated(town: Town) -> None:
    path = f"/campaigns/{await town.campaign()}/pledges"
    assert fields(await town.post(path, a_form(community="330899001001"))) == ["body.community"]
    assert fields(await town.post(path, a_form(community="330802"))) == ["body.community"]
    assert fields(await town.post(path, a_form(consent=False))) == ["body.consent"]
    assert fields(await town.post(path, a_form(idcard="1"))) == ["body.idcard"]
    answer = await town.post(path, a_form(phone="4455667788"))
    assert fields(answer) == ["body.phone"]
    assert "4455667788" not in orjson.dumps(answer.json()).decode()


async def test_what_does_not_exist_is_not_found(town: Town) -> None:
    assert (await town.post("/campaigns/nothing/pledges", a_form())).status_code == 404
    assert (await town.post("/signings/nothing/verify", {"code": "123456"})).status_code == 404
    assert (await town.http.get("/pledges/signings/nothing")).status_code == 404


async def test_a_campaign_closes_after_it_opens(town: Town) -> None:
    instant = now().isoformat()
    body = {"title": "活动", "text": "承诺", "opens_at": instant, "closes_at": instant}
    assert fields(await town.post("/campaigns", body)) == ["body.closes_at"]


async def test_a_new_window_holds_at_once(town: Town) -> None:
    campaign = await town.campaign()
    await town.sign(campaign)
    window = {"opens_at": "2020-03-08T00:00:00+08:00", "closes_at": "2020-04-08T00:00:00+08:00"}
    answer = await town.http.put(f"/pledges/campaigns/{campaign}/window", json=window)
    assert answer.json()["opens_at"] == "2020-03-07T16:00:00Z"
    assert problem(await town.post(f"/campaigns/{campaign}/pledges", a_form())) == "outside-window"
