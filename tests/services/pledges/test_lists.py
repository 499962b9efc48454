"""Lists have one shape: a cursor that holds while others write, and filters by state, division and day."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.city.days import local_day
from shared.model.clock import now
from tests.kit.problems import problem
from tests.services.pledges.town import Town


@pytest.fixture
async def talks(town: Town) -> str:
    """The path of a team's talks: three on three days."""
    campaign = await town.campaign()
    team = (await town.done(f"/campaigns/{campaign}/teams", {"division": "330802", "name": "柯城宣讲队"}))[
        "id"
    ]
    person = {"name": "李梅", "phone": "13811112222", "role": "preacher"}
    preacher = (await town.done(f"/teams/{team}/members", person))["id"]
    for days in (1, 2, 3):
        await announced(town, f"/teams/{team}/talks", preacher, now() + timedelta(days=days))
    return f"/teams/{team}/talks"


async def announced(town: Town, path: str, preacher: str, at: datetime) -> dict[str, Any]:
    body = {"preacher_id": preacher, "title": "公筷公勺", "starts_at": at.isoformat()}
    return dict(await town.done(path, body))


async def test_a_page_goes_on_behind_the_last_item_whatever_was_written_meanwhile(
    town: Town, talks: str
) -> None:
    whole = await town.get(talks)
    assert (len(whole["items"]), whole["next"]) == (3, None)
    first = await town.get(talks, limit=2)
    assert first["items"] == whole["items"][:2]
    await announced(town, talks, whole["items"][0]["preacher_id"], now() + timedelta(days=9))
    rest = await town.get(talks, limit=2, after=first["next"])
    assert (rest["items"], rest["next"]) == (whole["items"][2:], None)
    assert len((await town.get(talks))["items"]) == 4


async def test_of_equal_days_none_is_left_out_between_two_pages(town: Town, talks: str) -> None:
    at = now() + timedelta(days=5)
    preacher = (await town.listed(talks))[0]["preacher_id"]
    for _ in range(3):
        await announced(town, talks, preacher, at)
    seen, after = list[str](), None
    while True:
        page = await town.get(talks, limit=1, **({"after": after} if after else {}))
        seen += [item["id"] for item in page["items"]]
        if (after := page["next"]) is None:
            break
    assert seen == [talk["id"] for talk in await town.listed(talks)]
    assert len(set(seen)) == 6


async def test_a_list_is_asked_by_state_and_by_day(town: Town, talks: str) -> None:
    latest, middle, _ = await town.listed(talks)
    await town.done(f"/talks/{latest['id']}/cancel", {"reason": "other"})
    assert [talk["id"] for talk in await town.listed(talks, state="cancelled")] == [latest["id"]]
    assert len(await town.listed(talks, state="scheduled")) == 2
    day = local_day(datetime.fromisoformat(middle["starts_at"]))
    assert [talk["id"] for talk in await town.listed(talks, day=day.isoformat())] == [middle["id"]]
    assert len(await town.listed(talks, division="330802")) == 3
    assert await town.listed(talks, division="330881") == []


async def test_what_is_no_state_no_day_and_no_cursor_is_refused(town: Town, talks: str) -> None:
    for query in ({"state": "sung"}, {"day": "8"}, {"division": "99"}, {"after": "x"}, {"after": "W10"}):
        answer = await town.http.get(f"/pledges{talks}", params=query)
        assert (answer.status_code, problem(answer)) == (422, "invalid-request"), query
        assert answer.json()["errors"][0]["field"] == f"query.{next(iter(query))}"


async def test_the_version_is_told_on_whatever_route_shows_a_document(town: Town, talks: str) -> None:
    [talk, *_] = await town.listed(talks)
    read = await town.http.get(f"/pledges/talks/{talk['id']}")
    assert read.headers["etag"] == '"1"'
    stale = await town.post(f"/talks/{talk['id']}/cancel", {"reason": "other"}, **{"If-Match": '"7"'})
    assert (stale.status_code, problem(stale)) == (412, "stale-version")
    done = await town.post(f"/talks/{talk['id']}/cancel", {"reason": "other"}, **{"If-Match": '"1"'})
    assert (done.status_code, done.headers["etag"]) == (200, '"2"')
    listed = await town.http.get(f"/pledges{talks}")
    assert "etag" not in listed.headers
