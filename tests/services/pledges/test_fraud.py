"""Limits, lists, the reviewer, and bulk invalidation."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.pledges import jobs, queries
from services.pledges.domain.fraud import HELD_FROM
from services.pledges.domain.identity import phone_key
from services.pledges.domain.invalidation import Condition, EmptyCondition
from services.pledges.domain.limits import Limit
from services.pledges.domain.pledge import Pledge
from services.pledges.domain.reasons import Why
from shared.city.days import local_day
from shared.contracts.pledges import PledgeDropped, PledgeHeld, PledgeInvalidated, SignerRole
from shared.model.clock import moved, now
from shared.model.roles import Role
from shared.model.workflow import Actor
from tests.kit.problems import problem
from tests.kit.waiting import eventually
from tests.services.pledges.town import COMMUNITY, ELSEWHERE, Town, a_form, a_name, until_next

NOON = datetime(2020, 4, 1, 4, 0, tzinfo=UTC)


def test_a_limit_says_how_long_to_wait() -> None:
    limit = Limit(2, timedelta(minutes=10))
    times = [NOON - timedelta(minutes=minutes) for minutes in (30, 9, 4)]
    assert limit.wait(times, NOON) == 60
    assert limit.wait(times, NOON + timedelta(seconds=60)) == 0


def test_an_empty_condition_is_refused() -> None:
    with pytest.raises(EmptyCondition):
        Condition().where()
    assert Condition(division="330800").where()["division"] == {"$gte": "3308", "$lt": "3308:"}


async def test_the_sixth_form_of_a_phone_in_ten_minutes_waits(town: Town) -> None:
    campaign, phone = await town.campaign(), "13666666666"
    path = f"/campaigns/{campaign}/pledges"
    with moved(until_next(timedelta(minutes=10))):
        for n in range(5):
            await town.sign(campaign, phone=phone, name=a_name(n))
        answer = await town.post(path, a_form(phone=phone))
        assert (answer.status_code, problem(answer)) == (429, "too-many-requests")
        assert 0 < answer.json()["retry_after"] <= 600
        assert (await town.post(path, a_form())).status_code == 201
        with moved(timedelta(seconds=answer.json()["retry_after"])):
            assert (await town.post(path, a_form(phone=phone))).status_code == 201


async def test_an_officer_who_is_responsible_signs_without_limits_for_a_phone_on_the_list(town: Town) -> None:
    campaign, phone = await town.campaign(), "13666666667"
    path = f"/campaigns/{campaign}/pledges"
    entry = {"phone": phone, "kind": "allow", "reason": "community-worker"}
    listed = await town.done("/listed-phones", entry)
    assert phone not in repr(await town.listed("/listed-phones"))
    with moved(until_next(timedelta(minutes=10))):
        for n in range(7):
            await town.sign(campaign, phone=phone, name=a_name(n))
        await town.done(f"/listed-phones/{listed['id']}/revoke")
        assert await town.listed("/listed-phones") == []
        sent = [(await town.post(path, a_form(phone=phone))).status_code for _ in range(6)]
        assert sent == [201] * 5 + [429]


async def held_pledge(town: Town, campaign: str, phone: str) -> Any:
    body = {"phone": phone, "kind": "block", "reason": "suspicious"}
    await town.done("/listed-phones", body)
    pledge = await town.sign(campaign, phone=phone)
    return (await town.verify(pledge["id"])).json()


async def test_a_blocked_phone_is_counted_by_the_reviewer_only(town: Town) -> None:
    campaign = await town.campaign()
    pledge = await held_pledge(town, campaign, "13555555555")
    assert (pledge["state"], pledge["queue"], pledge["serial"]) == ("verified", "reviewer", None)
    [waiting] = await town.listed("/reviews", campaign_id=campaign)
    assert (waiting["id"], waiting["held"]) == (pledge["id"], ["block-list"])
    assert len(await town.events(PledgeHeld.type, pledge["id"])) == 1
    counted = await town.done(f"/reviews/{pledge['id']}/count")
    assert (counted["state"], counted["serial"]) == ("counted", 1)
    assert await town.listed("/reviews", campaign_id=campaign) == []
    record = await town.get(f"/reviews/{pledge['id']}")
    assert [(step["move"], step["by"]) for step in record["history"]] == [
        ("verify", "signer"),
        ("count", "city-officer.city"),
    ]
    assert problem(await town.post(f"/reviews/{pledge['id']}/count")) == "illegal-move"


async def test_a_held_pledge_can_be_struck_out_without_touching_the_chain(town: Town) -> None:
    pledge = await held_pledge(town, await town.campaign(), "13555555556")
    body = {"reason": "not-own-phone"}
    assert (await town.done(f"/reviews/{pledge['id']}/invalidate", body))["state"] == "invalidated"
    assert len(await town.events(PledgeDropped.type)) == 1
    assert await town.events(PledgeInvalidated.type) == []


async def test_a_reason_is_a_code_and_no_text_that_could_name_somebody(town: Town) -> None:
    pledge = await town.counted(await town.campaign())
    for path in (f"/reviews/{pledge['id']}/invalidate", f"/signings/{pledge['id']}/withdraw"):
        answer = await town.post(path, {"reason": "王小明重复签署"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "body.reason"
    assert (await town.get(f"/signings/{pledge['id']}"))["state"] == "counted"


async def test_what_a_bulk_job_or_a_list_did_leads_back_to_no_phone(town: Town) -> None:
    campaign, phone = await town.campaign(), "13444444445"
    pledge = await town.counted(campaign, phone=phone)
    key = phone_key(town.host.vault.blind_index, phone)
    entry = await town.done("/listed-phones", {"phone": phone, "kind": "block", "reason": "suspicious"})
    job, dropped = await prepared(town, phone=phone), await prepared(town, phone=phone)
    await town.done(f"/invalidations/{job['id']}/start")

    async def finished() -> bool:
        return (await town.get(f"/invalidations/{job['id']}"))["state"] == "done"

    await eventually(finished)
    await town.done(f"/invalidations/{dropped['id']}/cancel")
    await town.done(f"/invalidations/{job['id']}/lift")
    await town.done(f"/listed-phones/{entry['id']}/revoke")
    await town.done(f"/signings/{pledge['id']}/erase")
    assert (await town.get(f"/invalidations/{job['id']}"))["condition"]["one_phone"]
    database = town.store.database
    for name in await database.list_collection_names():
        assert key not in repr(await database[name].find().to_list(None)), name
    again = await town.done("/listed-phones", {"phone": phone, "kind": "allow", "reason": "shared-phone"})
    assert again["id"] != entry["id"]


async def test_who_is_on_a_list_is_told_and_cannot_erase_it(town: Town) -> None:
    phone = "13444444446"
    await town.done("/listed-phones", {"phone": phone, "kind": "block", "reason": "suspicious"})
    hers = town.issuer.bearer(Role.RESIDENT, None, phone=f"+86{phone}")
    for erased in (False, True):
        [held] = (await town.http.get("/pledges/me", headers=hers)).json()
        [entry] = held["records"]["list_entries"]
        assert (entry["kind"], entry["reason"], held["kept"]) == ("block", "suspicious", True)
        assert "phone_key" not in entry
        if not erased:
            assert (await town.http.post("/pledges/me/erase", headers=hers)).json() == []


async def prepared(town: Town, **condition: Any) -> Any:
    return await town.done("/invalidations", {"condition": condition, "reason": "suspicious"})


async def test_bulk_invalidation_counts_first_and_strikes_out_each_pledge_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH", 3)
    campaign = await town.campaign()
    pledges = [await town.counted(campaign) for _ in range(7)]
    other = await town.counted(campaign, community=ELSEWHERE)
    job = await prepared(town, division=COMMUNITY, from_day=str(local_day(now())))
    assert (job["state"], job["matched"], job["invalidated"]) == ("prepared", 7, 0)
    assert (await town.get(f"/signings/{pledges[0]['id']}"))["state"] == "counted"
    await town.done(f"/invalidations/{job['id']}/start")

    async def finished() -> Any:
        seen = await town.get(f"/invalidations/{job['id']}")
        return seen if seen["state"] == "done" else None

    assert (await eventually(finished))["invalidated"] == 7
    events = [event["pledge_id"] for event in await town.events(PledgeInvalidated.type)]
    assert sorted(events) == sorted(pledge["id"] for pledge in pledges)
    assert (await town.get(f"/signings/{other['id']}"))["state"] == "counted"


async def test_a_bulk_invalidation_goes_on_where_a_crash_left_it(town: Town) -> None:
    campaign, phone = await town.campaign(), "13444444444"
    pledges = [await town.counted(campaign, phone=phone, name=a_name(n)) for n in range(3)]
    job = await prepared(town, phone=phone)
    await town.store.change(  # struck out, but the progress was not noted any more
        Pledge,
        pledges[0]["id"],
        lambda p: p.invalidate(Why.SUSPICIOUS, now(), Actor("officer-1"), job["id"]),
    )
    await town.done(f"/invalidations/{job['id']}/start")

    async def finished() -> bool:
        return (await town.get(f"/invalidations/{job['id']}"))["state"] == "done"

    await eventually(finished)
    assert (await town.get(f"/invalidations/{job['id']}"))["invalidated"] == 3
    assert len(await town.events(PledgeInvalidated.type)) == 3


async def test_a_cancelled_bulk_invalidation_stops(town: Town) -> None:
    campaign = await town.campaign()
    pledge = await town.counted(campaign)
    job = await prepared(town, campaign_id=campaign)
    path = f"/invalidations/{job['id']}"
    assert (await town.post(f"{path}/cancel", **{"If-Match": '"9"'})).status_code == 412
    assert (await town.done(f"{path}/cancel"))["state"] == "cancelled"
    assert problem(await town.post(f"{path}/start")) == "illegal-move"
    assert await queries.running_invalidation(town.store) is None
    assert (await town.get(f"/signings/{pledge['id']}"))["state"] == "counted"


async def test_a_bulk_invalidation_needs_a_condition_and_a_reason(town: Town) -> None:
    answer = await town.post("/invalidations", {"condition": {}, "reason": "other"})
    assert (answer.status_code, problem(answer)) == (422, "empty-condition")
    answer = await town.post("/invalidations", {"condition": {"role": "member"}})
    assert answer.json()["errors"][0]["field"] == "body.reason"


async def test_the_day_limit_holds_what_comes_after_it(town: Town) -> None:
    campaign, phone = await town.campaign(), "13333333333"
    states = []
    start = now().replace(hour=5, minute=0)  # 13:00 in Shanghai: all within one day
    for n in range(HELD_FROM + 1):
        with moved(start + timedelta(minutes=11 * n) - now()):
            pledge = await town.sign(campaign, phone=phone, name=a_name(n))
            states.append((await town.verify(pledge["id"])).json()["state"])
    assert states == ["counted"] * HELD_FROM + ["verified"]


# ── what is pending, and what comes later ────────────────────────────────────────────────────────────


async def struck_out(town: Town, **condition: Any) -> Any:
    """A bulk invalidation that has done its work, and is in force."""
    job = await prepared(town, **condition)
    await town.done(f"/invalidations/{job['id']}/start")

    async def finished() -> Any:
        seen = await town.get(f"/invalidations/{job['id']}")
        return seen if seen["state"] == "done" else None

    return await eventually(finished)


async def test_an_invalidation_reaches_the_forms_that_are_not_proven_yet(town: Town) -> None:
    campaign, phone = await town.campaign(), "13444444447"
    await town.counted(campaign, phone=phone, name="王一")
    pending = [await town.sign(campaign, phone=phone, name=name) for name in ("王二", "王三")]
    done = await struck_out(town, phone=phone)
    assert (done["matched"], done["invalidated"]) == (3, 3)
    for pledge in pending:
        answer = await town.verify(pledge["id"])
        assert (problem(answer), answer.json()["state"]) == ("illegal-move", "invalidated")
    assert len(await town.events(PledgeInvalidated.type)) == 1
    assert [event["state"] for event in await town.events(PledgeDropped.type)] == ["invalidated"] * 2


async def test_what_comes_under_its_condition_is_held_until_it_is_lifted(town: Town) -> None:
    campaign, phone = await town.campaign(), "13444444448"
    await town.counted(campaign, phone=phone, name="王一")
    job = await struck_out(town, phone=phone)
    assert (job["queue"], job["legal"]) == ("reviewer", ["lift"])
    held = await town.sign(campaign, phone=phone, name="王二")
    assert (await town.verify(held["id"])).json()["state"] == "verified"
    [waiting] = await town.listed("/reviews", campaign_id=campaign)
    assert (waiting["id"], waiting["held"]) == (held["id"], ["invalidation"])
    assert (await town.counted(campaign))["serial"] == 2  # another phone
    hers = town.issuer.bearer(Role.RESIDENT, None, phone=f"+86{phone}")
    kept = [one for one in (await town.http.get("/pledges/me", headers=hers)).json() if one.get("kept")]
    assert [one["records"]["invalidations"][0]["id"] for one in kept] == [job["id"]]
    assert (await town.done(f"/invalidations/{job['id']}/lift"))["state"] == "lifted"
    assert (await town.counted(campaign, phone=phone, name="王三"))["serial"] == 3
    assert problem(await town.post(f"/invalidations/{job['id']}/lift")) == "illegal-move"


async def test_a_phone_that_is_blocked_after_its_form_came_is_held_all_the_same(town: Town) -> None:
    campaign, phone = await town.campaign(), "13444444449"
    pledge = await town.sign(campaign, phone=phone)
    entry = await town.done("/listed-phones", {"phone": phone, "kind": "block", "reason": "suspicious"})
    assert (await town.verify(pledge["id"])).json()["state"] == "verified"
    second = await town.sign(campaign, phone=phone, name="李红")
    await town.done(f"/listed-phones/{entry['id']}/revoke")
    assert (await town.verify(second["id"])).json()["state"] == "counted"


DAYS = st.dates(date(2026, 3, 7), date(2026, 3, 9))
conditions = st.fixed_dictionaries(
    {},
    optional={
        "campaign_id": st.sampled_from("ab"),
        "division": st.sampled_from(("330800", "330802", "330802005", COMMUNITY, "330803")),
        "from_day": DAYS,
        "to_day": DAYS,
        "phone_key": st.sampled_from("xy"),
        "role": st.sampled_from(SignerRole),
    },
).filter(bool)


@pytest.fixture
async def alike(town: Town) -> list[Pledge]:
    """Pledges that differ in what conditions look at."""
    made = [
        Pledge(
            campaign_id=campaign,
            text_version=1,
            chain_id="c",
            division=division,
            signer="p",
            phone_key=phone,
            identities=[],
            role=role,
            members=1,
            created_at=datetime(2026, 3, day, hour, tzinfo=UTC),
        )
        for campaign in "ab"
        for division in (COMMUNITY, ELSEWHERE, "330803001001")
        for phone in "xy"
        for role in (SignerRole.HOSTESS, SignerRole.MEMBER)
        for day, hour in ((7, 1), (8, 15), (8, 17))
    ]
    for pledge in made:
        await town.store.commit(pledge)
    return made


async def test_a_condition_covers_in_advance_exactly_what_it_finds(town: Town, alike: list[Pledge]) -> None:
    @settings(max_examples=60, derandomize=True, database=None, deadline=None)
    @given(conditions)
    def cases(given_: dict[str, Any]) -> None:
        asked.append(Condition(**given_))

    asked: list[Condition] = []
    cases()
    for condition in asked:
        found = {pledge.id for pledge in await town.store.select(Pledge, condition.where(), limit=1000)}
        assert found == {pledge.id for pledge in alike if condition.covers(pledge)}, condition
