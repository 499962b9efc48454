"""Teams, their talks, and what they observe."""

from datetime import timedelta
from typing import Any

import pytest

from services.pledges.domain.team import Member, TeamRole
from shared.contracts.pledges import ObservationRecorded, TalkHeld, TalkMoved
from shared.model.clock import moved, now
from tests.kit.problems import problem
from tests.services.pledges.town import COMMUNITY, Town


async def a_team(town: Town) -> tuple[str, str, str]:
    team = await town.done(
        f"/campaigns/{await town.campaign()}/teams", {"division": COMMUNITY, "name": "宣讲队"}
    )
    ids = []
    for role, phone in (("preacher", "13811112222"), ("supervisor", "13811113333")):
        body = {"name": "李梅", "phone": phone, "role": role}
        ids.append((await town.done(f"/teams/{team['id']}/members", body))["id"])
    return team["id"], ids[0], ids[1]


async def a_talk(town: Town, team: str, preacher: str) -> Any:
    starts_at = (now() + timedelta(hours=1)).isoformat()
    body = {"preacher_id": preacher, "title": "公筷公勺好处多", "starts_at": starts_at}
    return await town.done(f"/teams/{team}/talks", body)


async def test_a_talk_is_scheduled_and_held_with_a_number_of_attendees(town: Town) -> None:
    team, preacher, _ = await a_team(town)
    talk = await a_talk(town, team, preacher)
    assert (talk["state"], talk["queue"]) == ("scheduled", "preacher")
    path = f"/talks/{talk['id']}/hold"
    assert problem(await town.post(path, {"attendees": 128})) == "too-early"
    with moved(timedelta(hours=2)):
        assert (await town.done(path, {"attendees": 128}))["state"] == "held"
        assert problem(await town.post(path, {"attendees": 128})) == "illegal-move"
    assert [event["attendees"] for event in await town.events(TalkHeld.type)] == [128]


async def test_a_cancelled_talk_is_announced(town: Town) -> None:
    team, preacher, _ = await a_team(town)
    talk = await a_talk(town, team, preacher)
    await town.done(f"/talks/{talk['id']}/cancel", {"reason": "unavailable"})
    assert [event["state"] for event in await town.events(TalkMoved.type)] == ["scheduled", "cancelled"]


async def test_who_is_in_the_team_already_is_named_to_its_officer(town: Town) -> None:
    team, preacher, _ = await a_team(town)
    answer = await town.post(
        f"/teams/{team}/members", {"name": "李梅", "phone": "13811112222", "role": "preacher"}
    )
    assert (problem(answer), answer.json()["existing"]) == ("already-exists", preacher)


async def test_a_talk_is_held_behind_a_public_link(town: Town) -> None:
    team, preacher, _ = await a_team(town)
    body = {"preacher_id": preacher, "title": "公筷", "starts_at": (now() + timedelta(hours=1)).isoformat()}
    for link in ("http://127.0.0.1/", "https://0x7f.1/", "https://localhost/", "https://nas.local/talk"):
        answer = await town.post(f"/teams/{team}/talks", body | {"link": link})
        assert answer.status_code == 422, link
        assert [error["field"] for error in answer.json()["errors"]] == ["body.link"]
    link = "https://meeting.example.com/8f3"
    assert (await town.done(f"/teams/{team}/talks", body | {"link": link}))["link"] == link


async def test_preachers_talk_and_supervisors_observe(town: Town) -> None:
    team, preacher, supervisor = await a_team(town)
    seen = {"supervisor_id": supervisor, "division": COMMUNITY, "tables": 18, "with_serving_chopsticks": 11}
    observation = await town.done(f"/teams/{team}/observations", seen)
    assert observation["with_serving_chopsticks"] == 11
    [event] = await town.events(ObservationRecorded.type)
    assert (event["tables"], event["division"]) == (18, COMMUNITY)
    answer = await town.post(f"/teams/{team}/observations", seen | {"supervisor_id": preacher})
    assert problem(answer) == "wrong-role"
    body = {"preacher_id": supervisor, "title": "讲座", "starts_at": now().isoformat()}
    assert problem(await town.post(f"/teams/{team}/talks", body)) == "wrong-role"
    answer = await town.post(f"/teams/{team}/observations", seen | {"tables": 10})
    assert answer.status_code == 422


async def test_members_are_listed_with_masked_names_and_join_once(town: Town) -> None:
    team, _, _ = await a_team(town)
    members = await town.listed(f"/teams/{team}/members")
    assert [(member["name"], member["role"]) for member in members] == [
        ("李**", "preacher"),
        ("李**", "supervisor"),
    ]
    body = {"name": "李梅", "phone": "13811112222", "role": "supervisor"}
    assert (await town.post(f"/teams/{team}/members", body)).status_code == 409


async def test_a_team_observes_in_its_own_division_and_names_its_own_members(town: Town) -> None:
    team, _, supervisor = await a_team(town)
    seen = {"supervisor_id": supervisor, "division": COMMUNITY, "tables": 18, "with_serving_chopsticks": 11}
    elsewhere = await town.post(f"/teams/{team}/observations", seen | {"division": "330881"})
    assert (elsewhere.status_code, problem(elsewhere)) == (403, "outside-division")
    another = await town.done(
        f"/campaigns/{await town.campaign()}/teams", {"division": COMMUNITY, "name": "二队"}
    )
    anothers = await town.post(f"/teams/{another['id']}/observations", seen)
    assert (anothers.status_code, problem(anothers)) == (404, "not-found")
    assert await town.events(ObservationRecorded.type) == []


@pytest.mark.parametrize(("kept", "told"), [({"division": "330802"}, "330802"), ({}, None)])
def test_that_a_member_was_erased_is_told_to_the_teams_officers(
    kept: dict[str, str], told: str | None
) -> None:
    """And to the city's alone of a member from before the division was kept."""
    member = Member(team_id="team", person="person", role=TeamRole.PREACHER, phone_key="key", **kept)
    for _ in range(2):
        member.forget(now())
    assert [event.division for event in member.recorded] == [told]
