"""Chains follow from the pledges' events."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.pledges import queries
from services.pledges.api.chains import SortBy, Standing, ranked
from services.pledges.app import service
from services.pledges.domain.chain import Chain, coverage_of
from shared.city.days import local_day
from shared.city.divisions import county_of, households
from shared.contracts.pledges import ChainMilestoneReached, PledgeSigned, PledgeWithdrawn, SignerRole
from shared.model.clock import moved, now
from shared.store.tallies import recount
from tests.kit.problems import problem
from tests.kit.waiting import eventually
from tests.services.pledges.town import COMMUNITY, ELSEWHERE, Town


def signed(serial: int, text_version: int = 1) -> PledgeSigned:
    return PledgeSigned(
        division=COMMUNITY,
        pledge_id=f"p{serial}",
        campaign_id="c",
        chain_id="c:1",
        text_version=text_version,
        serial=serial,
        signer="s",
        role=SignerRole.HOSTESS,
        members=3,
        day=local_day(now()),
    )


def withdrawn(serial: int) -> PledgeWithdrawn:
    return PledgeWithdrawn(**signed(serial).model_dump(), signed_day=local_day(now()))


def milestones(chain: Chain) -> list[tuple[str, int]]:
    return [(e.kind.value, e.value) for e in chain.recorded if isinstance(e, ChainMilestoneReached)]


def test_each_milestone_is_reached_once() -> None:
    chain = Chain.begun(signed(1))
    chain.households = 100
    for serial in range(1, 12):
        chain.lengthen(signed(serial))
    assert milestones(chain) == [("households", 1), ("households", 10), ("coverage", 10)]
    for serial in (1, 2, 3):
        chain.shorten(withdrawn(serial))
    assert (chain.counted, chain.coverage) == (8, 8.0)
    for serial in range(12, 22):
        chain.lengthen(signed(serial))
    assert milestones(chain)[3:] == []
    assert (chain.signed, chain.counted) == (21, 18)


def test_a_small_village_can_reach_several_at_once() -> None:
    chain = Chain.begun(signed(1))
    chain.households = 3
    chain.lengthen(signed(1))
    assert milestones(chain) == [("households", 1), ("coverage", 10), ("coverage", 20), ("coverage", 30)]


def test_coverage_counts_no_household_twice() -> None:
    chain = Chain.begun(signed(1))
    chain.households = 10
    for serial, text in ((1, 1), (2, 1), (3, 2)):
        chain.lengthen(signed(serial, text))
    assert (chain.counted, chain.coverage) == (3, 20.0)


@pytest.mark.parametrize(
    ("counted", "of", "percent"), [(0, 9, 0.0), (1, 3, 33.3), (999, 1000, 99.9), (5, 3, 100.0)]
)
def test_coverage_is_rounded_down(counted: int, of: int, percent: float) -> None:
    assert coverage_of(counted, of) == percent


def test_equal_standings_share_a_rank() -> None:
    rows = [
        Standing(code=code, name="", full_name="", counted=counted, households=9, coverage=0, chains=1)
        for code, counted in (("4", 1), ("3", 5), ("2", 5), ("1", 9))
    ]
    assert [(r.rank, r.code) for r in ranked(rows, SortBy.COUNTED)] == [
        (1, "1"),
        (2, "2"),
        (2, "3"),
        (4, "4"),
    ]


async def chain_of(town: Town, campaign: str, counted: int, community: str = COMMUNITY) -> Any:
    async def check() -> Any:
        chain = await town.get(f"/campaigns/{campaign}/chains/{community}")
        return chain if chain["counted"] == counted else None

    return await eventually(check)


async def test_a_chain_lists_its_households_with_masked_names(town: Town) -> None:
    campaign = await town.campaign()
    names = ("王小明", "李红", "张三丰")
    pledges = [await town.counted(campaign, name=name) for name in names]
    chain = await chain_of(town, campaign, 3)
    assert [(link["title"], link["name"]) for link in chain["items"]] == [
        ("第 1 户", "王**"),
        ("第 2 户", "李**"),
        ("第 3 户", "张**"),
    ]
    assert (chain["households"], chain["households_are"]) == (households(COMMUNITY), "estimate")
    first = await town.get(f"/campaigns/{campaign}/chains/{COMMUNITY}", limit=1)
    page = await town.get(f"/campaigns/{campaign}/chains/{COMMUNITY}", after=first["next"], limit=1)
    assert [[link["serial"] for link in found["items"]] for found in (first, page)] == [[1], [2]]
    await town.erase_signer(pledges[1]["id"])
    chain = await town.get(f"/campaigns/{campaign}/chains/{COMMUNITY}")
    assert [link["name"] for link in chain["items"]] == ["王**", "（已删除）", "张**"]


async def test_leaving_shortens_the_chain_and_milestones_are_announced_once(town: Town) -> None:
    campaign = await town.campaign()
    first = await town.counted(campaign)
    await chain_of(town, campaign, 1)
    await town.done(f"/signings/{first['id']}/withdraw", {})
    await chain_of(town, campaign, 0)
    for _ in range(10):
        await town.counted(campaign)
    chain = await chain_of(town, campaign, 10)
    assert (chain["signed"], chain["households_milestones"]) == (11, [1, 10])
    assert [link["state"] for link in chain["items"][:2]] == ["withdrawn", "counted"]

    async def announced() -> Any:
        return [event["value"] for event in await town.events(ChainMilestoneReached.type)] == [1, 10]

    await eventually(announced)
    recounted = await recount(town.store, service.documents, ("chain",))
    assert recounted == await queries.chains_shown(town.store)


async def test_standings_rank_by_coverage_or_number_at_each_level(town: Town) -> None:
    campaign = await town.campaign()
    for community in (COMMUNITY, ELSEWHERE, ELSEWHERE):
        await town.counted(campaign, community=community)
    await chain_of(town, campaign, 2, ELSEWHERE)
    await chain_of(town, campaign, 1)
    path = f"/campaigns/{campaign}/standings"
    rows = (await town.get(path, level="community", sort="counted"))["rows"]
    assert [(row["rank"], row["code"], row["counted"]) for row in rows] == [
        (1, ELSEWHERE, 2),
        (2, COMMUNITY, 1),
    ]
    counties = await town.get(path)
    assert [(row["code"], row["counted"], row["chains"]) for row in counties["rows"]] == [
        (county_of(COMMUNITY), 3, 2)
    ]
    assert counties["rows"][0]["households"] == households(county_of(COMMUNITY))
    page = await town.get(path, level="community", limit=1, offset=1)
    assert (page["total"], len(page["rows"])) == (2, 1)
    assert (await town.get(path, under="330881"))["total"] == 0
    assert (await town.http.get(f"/pledges{path}", params={"under": "339999"})).status_code == 422


async def test_the_dashboard_counts_are_those_of_the_pledges(town: Town) -> None:
    campaign = await town.campaign()
    pledges = [await town.counted(campaign, members=n) for n in (2, 3, 4, 5)]
    await town.sign(campaign)
    await town.done(f"/signings/{pledges[0]['id']}/check-ins")
    today = local_day(now())
    with moved(timedelta(days=1)):
        await town.done(f"/signings/{pledges[1]['id']}/withdraw", {})
        await town.done(f"/reviews/{pledges[2]['id']}/invalidate", {"reason": "duplicate"})
    county = county_of(COMMUNITY)
    assert await recount(town.store, service.documents, ("county", "day")) == {
        f"{county}:{today}": {"signed": 4, "members": 14, "checked_in": 1, "milestones": 1},
        f"{county}:{today + timedelta(days=1)}": {"withdrawn": 1, "invalidated": 1},
    }


async def test_an_unknown_community_is_named(town: Town) -> None:
    answer = await town.http.get(f"/pledges/campaigns/{await town.campaign()}/chains/330899")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "path.community")
    assert problem(await town.http.get(f"/pledges/campaigns/none/chains/{COMMUNITY}")) == "not-found"


async def test_counting_in_many_communities_at_once_keeps_each_chain_gap_free(town: Town) -> None:
    campaign = await town.campaign()
    places = [COMMUNITY, ELSEWHERE] * 10
    pledges = [await town.sign(campaign, community=place) for place in places]
    answers = await asyncio.gather(*(town.verify(pledge["id"]) for pledge in pledges))
    for place in (COMMUNITY, ELSEWHERE):
        serials = sorted(a.json()["serial"] for a in answers if a.json()["community"] == place)
        assert serials == list(range(1, 11))
