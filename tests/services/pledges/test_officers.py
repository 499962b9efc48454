"""Officers answer for their own division, and learn nothing of another's."""

from typing import Any

import pytest

from shared.http.identity import Role
from tests.kit.problems import problem
from tests.services.pledges.town import COMMUNITY, Town

COUNTY = COMMUNITY[:6]
REASON = {"reason": "duplicate"}


def of_county(town: Town) -> dict[str, str]:
    return town.issuer.bearer(Role.COUNTY_OFFICER, "柯城")


def of_another(town: Town) -> dict[str, str]:
    return town.issuer.bearer(Role.COUNTY_OFFICER, "衢江")


@pytest.fixture
async def records(town: Town) -> dict[str, str]:
    """One of everything that lies in 柯城."""
    campaign = await town.campaign()
    blocked = "13900000009"
    await town.done("/listed-phones", {"phone": blocked, "kind": "block", **REASON})
    held = await town.sign(campaign, phone=blocked)
    await town.verify(held["id"])
    team = (await town.done(f"/campaigns/{campaign}/teams", {"division": COUNTY, "name": "一队"}))["id"]
    preacher = {"name": "李春兰", "phone": "13900000001", "role": "preacher"}
    preacher_id = (await town.done(f"/teams/{team}/members", preacher))["id"]
    talk = {"title": "公筷", "starts_at": "2020-03-08T02:00:00Z", "preacher_id": preacher_id}
    condition = {"campaign_id": campaign, "division": COUNTY}
    return {
        "campaign": campaign,
        "pledge": held["id"],
        "team": team,
        "talk": (await town.done(f"/teams/{team}/talks", talk))["id"],
        "job": (await town.done("/invalidations", {"condition": condition, **REASON}))["id"],
    }


async def test_a_review_is_unknown_to_another_countys_officer(town: Town, records: dict[str, str]) -> None:
    path = f"/reviews/{records['pledge']}"
    for method, to, body in (
        ("GET", path, None),
        ("POST", f"{path}/count", None),
        ("POST", f"{path}/invalidate", REASON),
    ):
        answer = await town.http.request(method, f"/pledges{to}", json=body, headers=of_another(town))
        assert (answer.status_code, problem(answer)) == (404, "not-found"), to
    for headers, found in ((of_another(town), []), (of_county(town), [records["pledge"]])):
        queue = await town.http.get("/pledges/reviews", headers=headers)
        assert [record["id"] for record in queue.json()["items"]] == found
    counted = await town.http.post(f"/pledges{path}/count", headers=of_county(town))
    assert (counted.status_code, counted.json()["state"]) == (200, "counted")


async def test_a_bulk_invalidation_stays_within_the_division(town: Town, records: dict[str, str]) -> None:
    path = f"/pledges/invalidations/{records['job']}"
    for method, to in (("GET", path), ("POST", f"{path}/start"), ("POST", f"{path}/cancel")):
        answer = await town.http.request(method, to, headers=of_another(town))
        assert (answer.status_code, problem(answer)) == (404, "not-found"), to
    everywhere: dict[str, Any] = {"condition": {"campaign_id": records["campaign"]}, **REASON}
    for body in (everywhere, {"condition": {"division": COUNTY}, **REASON}):
        answer = await town.http.post("/pledges/invalidations", json=body, headers=of_another(town))
        assert (answer.status_code, problem(answer)) == (403, "forbidden")
    for headers, found in ((of_another(town), []), (of_county(town), [records["job"]])):
        jobs = await town.http.get("/pledges/invalidations", headers=headers)
        assert [job["id"] for job in jobs.json()["items"]] == found
    assert (await town.http.post(f"{path}/start", headers=of_county(town))).status_code == 200


async def test_a_team_is_led_by_its_own_county(town: Town, records: dict[str, str]) -> None:
    team, talk = f"/pledges/teams/{records['team']}", f"/pledges/talks/{records['talk']}"
    member = {"name": "王秀英", "phone": "13900000002", "role": "supervisor"}
    observation = {"supervisor_id": "x", "division": COUNTY, "tables": 3, "with_serving_chopsticks": 1}
    new_talk = {"title": "公筷", "starts_at": "2020-03-08T02:00:00Z", "preacher_id": "x"}
    for method, to, body in (
        ("POST", f"{team}/members", member),
        ("GET", f"{team}/members", None),
        ("POST", f"{team}/talks", new_talk),
        ("POST", f"{team}/observations", observation),
        ("GET", f"{team}/observations", None),
        ("POST", f"{talk}/hold", {"attendees": 3}),
        ("POST", f"{talk}/cancel", REASON),
    ):
        answer = await town.http.request(method, to, json=body, headers=of_another(town))
        assert (answer.status_code, problem(answer)) == (403, "forbidden"), to
    made = await town.http.post(
        f"/pledges/campaigns/{records['campaign']}/teams",
        json={"division": COUNTY, "name": "二队"},
        headers=of_another(town),
    )
    assert made.status_code == 403
    held = await town.http.post(f"{talk}/hold", json={"attendees": 3}, headers=of_county(town))
    assert (held.status_code, held.json()["attendees"]) == (200, 3)


async def test_who_decided_stands_in_the_history(town: Town, records: dict[str, str]) -> None:
    path = f"/pledges/reviews/{records['pledge']}"
    await town.http.post(f"{path}/invalidate", json=REASON, headers=of_county(town))
    history = (await town.http.get(path, headers=of_county(town))).json()["history"]
    assert history[-1]["by"] == "county-officer.kecheng"


async def test_what_waits_for_an_officer_is_hers_alone_oldest_first_in_pages_that_hold_while_others_write(
    town: Town, records: dict[str, str]
) -> None:
    async def waiting(headers: dict[str, str], **query: Any) -> Any:
        answer = await town.http.get("/pledges/work", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    page = await waiting(of_county(town))
    assert [item["id"] for item in page["items"]] == [records[name] for name in ("pledge", "talk", "job")]
    assert [item["queue"] for item in page["items"]] == ["reviewer", "preacher", "reviewer"]
    assert page["items"][0]["legal"] == ["count", "withdraw", "invalidate"]
    assert (await waiting(of_another(town)))["items"] == []

    first = await waiting(of_county(town), limit=1)
    await town.http.post(f"/pledges/reviews/{records['pledge']}/count", headers=of_county(town))
    second = await waiting(of_county(town), limit=2, after=first["next"])
    assert [item["id"] for item in second["items"]] == [records["talk"], records["job"]]
    assert second["next"] is None
    refused = await town.http.get("/pledges/work", params={"after": "e30"}, headers=of_county(town))
    assert (refused.status_code, problem(refused)) == (422, "invalid-request")
