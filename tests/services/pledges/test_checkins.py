"""Check-ins: once a day, 21 in a row."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.pledges.app import service
from services.pledges.domain.checkin import CheckIn
from services.pledges.domain.pledge import Pledge
from services.pledges.domain.states import COUNTED
from shared.city.days import day_bounds, local_day
from shared.contracts.pledges import HouseholdCheckedIn, SignerRole, StreakCompleted
from shared.http.identity import Role
from shared.model.clock import moved, now
from shared.store.tallies import recount
from tests.kit.problems import problem
from tests.kit.waiting import eventually
from tests.services.pledges.town import COMMUNITY, KEPT, Town

START = date(2020, 3, 8)


def a_pledge() -> Pledge:
    return Pledge(
        campaign_id="c",
        text_version=1,
        chain_id=f"c:{COMMUNITY}",
        division=COMMUNITY,
        signer="s",
        phone_key="k",
        identities=["i"],
        role=SignerRole.HOSTESS,
        members=3,
        created_at=datetime(2020, 3, 8, tzinfo=UTC),
        state=COUNTED,
    )


@given(st.sets(st.integers(0, 120)))
def test_a_streak_is_the_days_in_a_row_and_every_21st_completes(offsets: set[int]) -> None:
    pledge, done = a_pledge(), dict[date, CheckIn]()
    for offset in sorted(offsets):
        day = START + timedelta(days=offset)
        done[day] = CheckIn.done(pledge, day, done.get(day - timedelta(days=1)), day_bounds(day)[0])
    for offset in offsets:
        run = next(n for n in range(1, 200) if offset - n not in offsets)
        check_in = done[START + timedelta(days=offset)]
        completed = [event for event in check_in.recorded if isinstance(event, StreakCompleted)]
        assert check_in.streak == run
        assert len(completed) == (run % 21 == 0)


async def check_in(town: Town, pledge_id: str) -> Any:
    return await town.done(f"/signings/{pledge_id}/check-ins")


async def test_a_household_checks_in_once_a_day(town: Town) -> None:
    pledge = await town.counted(await town.campaign())
    path = f"/signings/{pledge['id']}/check-ins"
    answers = await asyncio.gather(*(town.post(path) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    again = await town.post(path)
    assert problem(again) == "done-today"
    assert datetime.fromisoformat(again.json()["next_at"]) == day_bounds(local_day(now()))[1]
    assert [day["streak"] for day in await town.listed(path)] == [1]


async def test_the_id_of_a_pledge_proves_nothing(town: Town) -> None:
    """Every event has it, and officers' lists do."""
    pledge = await town.counted(await town.campaign())
    path = f"/pledges/signings/{pledge['id']}/check-ins"
    photo = f"{path}/{local_day(now())}/photo"
    routes = (("GET", path), ("POST", path), ("GET", photo), ("PUT", photo))
    others = [
        {},
        town.issuer.bearer(),  # an officer
        {"Signing-Key": "of-another-household-that-signs"},
        town.issuer.bearer(Role.RESIDENT, None, phone="+8613012345678"),
    ]
    del town.http.headers["Signing-Key"], town.http.headers["Authorization"]
    for headers in others:
        for method, refused in routes:
            answer = await town.http.request(method, refused, headers=headers)
            assert (answer.status_code, problem(answer)) == (403, "not-the-signer")
        answer = await town.http.post(f"/pledges/signings/{pledge['id']}/code", headers=headers)
        assert (answer.status_code, problem(answer)) == (403, "not-the-signer")
    phone = f"+86{town.forms[pledge['id']]['phone']}"
    account = town.issuer.bearer(Role.RESIDENT, None, phone=phone)
    assert (await town.http.post(path, headers=account)).status_code == 201
    assert [day["streak"] for day in (await town.http.get(path, headers=KEPT)).json()["items"]] == [1]


async def test_a_household_that_lost_its_key_is_known_by_its_phone_only(town: Town) -> None:
    pledge = await town.counted(await town.campaign())
    del town.http.headers["Signing-Key"]
    path = f"/pledges/signings/{pledge['id']}/check-ins"
    for headers in ({}, {"Signing-Key": "a" * 22}, {"Signing-Key": ""}):
        assert (await town.http.post(path, headers=headers)).status_code in (403, 422)
    phone = f"+86{town.forms[pledge['id']]['phone']}"
    account = town.issuer.bearer(Role.RESIDENT, None, phone=phone)
    assert (await town.http.post(path, headers=account)).status_code == 201


async def test_the_day_is_that_of_shanghai(town: Town) -> None:
    pledge = await town.counted(await town.campaign())
    midnight = day_bounds(local_day(now()))[1]
    with moved(midnight - now() - timedelta(seconds=20)):
        assert (await check_in(town, pledge["id"]))["streak"] == 1
    with moved(midnight - now() + timedelta(seconds=20)):
        assert (await check_in(town, pledge["id"]))["streak"] == 2


async def test_21_days_in_a_row_complete_and_a_missed_day_starts_anew(town: Town) -> None:
    pledge = await town.counted(await town.campaign())
    for day in range(21):
        with moved(timedelta(days=day)):
            last = await check_in(town, pledge["id"])
    assert (last["streak"], last["completes"], last["to_go"]) == (21, True, 0)
    with moved(timedelta(days=22)):
        last = await check_in(town, pledge["id"])
    assert (last["streak"], last["completes"], last["to_go"]) == (1, False, 20)

    async def published() -> bool:
        return len(await town.events(HouseholdCheckedIn.type)) == 22

    await eventually(published)
    assert len(await town.events(StreakCompleted.type)) == 1
    counts = await recount(town.store, service.documents, ("county", "day"))
    assert sum(row.get("streaks_completed", 0) for row in counts.values()) == 1
    assert sum(row.get("checked_in", 0) for row in counts.values()) == 22


async def test_only_a_counted_pledge_checks_in(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    answer = await town.post(f"/signings/{pledge['id']}/check-ins")
    assert (answer.status_code, problem(answer), answer.json()["state"]) == (409, "not-counted", "pending")
    assert (await town.post("/signings/nothing/check-ins")).status_code == 404
