"""Chains and standings: how far the communities have come."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from services.pledges import queries
from services.pledges.domain.chain import Chain, coverage_of
from services.pledges.domain.pledge import Pledge, chain_id_of
from services.pledges.domain.states import PledgeState
from services.pledges.lookups import Lookups
from shared.city.divisions import CITY, CommunityCode, DivisionCode, division, households, path_name
from shared.contracts.pledges import SignerRole
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.routes import Router
from shared.model.names import mask_name

from .callers import Anyone

router = Router(prefix="/campaigns/{campaign_id}", tags=["chains"])
Links = Annotated[Listing[Pledge], listed(Pledge, day="signed_day")]


class Link(BaseModel):
    """A household in the chain: 第 128 户, 王**."""

    serial: int
    title: str
    name: str
    role: SignerRole
    state: PledgeState
    day: date | None

    @classmethod
    def of(cls, pledge: Pledge) -> "Link":
        """`pledge` must be opened."""
        return cls(
            serial=pledge.serial,
            title=f"第 {pledge.serial} 户",
            name=mask_name(pledge.name),
            role=pledge.role,
            state=pledge.state,
            day=pledge.signed_day,
        )


class ChainView(Page[Link]):
    """A chain and a page of its households, by serial."""

    chain_id: str
    community: str
    community_name: str
    signed: int
    counted: int
    households: int
    households_are: str = "estimate"
    coverage: float
    households_milestones: list[int]
    coverage_milestones: list[int]


class Level(StrEnum):
    """What stands in a row of the standings."""

    COUNTY = "county"
    TOWN = "town"
    COMMUNITY = "community"


class SortBy(StrEnum):
    """By share, so that small villages can win, or by number."""

    COVERAGE = "coverage"
    COUNTED = "counted"


_DIGITS = {Level.COUNTY: 6, Level.TOWN: 9, Level.COMMUNITY: 12}


class Standing(BaseModel):
    """A division's place; the same place for the same value."""

    rank: int = 0
    code: str
    name: str
    full_name: str
    counted: int
    households: int
    coverage: float
    chains: int


class Standings(BaseModel):
    """A page of the standings. `households` are estimates, see `shared.city.divisions`."""

    total: int
    rows: list[Standing]


@router.get("/chains/{community}", summary="社区接龙 / A community's chain by serial")
async def read_chain(campaign_id: str, community: CommunityCode, _: Anyone, page: Links) -> ChainView:
    await Lookups.of(page.store).campaign(campaign_id)
    chain_id = chain_id_of(campaign_id, community)
    chain = await page.store.find(Chain, chain_id)
    if chain is None:
        chain = Chain(
            id=chain_id, campaign_id=campaign_id, division=community, households=households(community)
        )
    links = await page(queries.in_chain(chain_id), [("serial", 1)], Link.of, unseal=True, unique=True)
    return ChainView(
        items=links.items,
        next=links.next,
        chain_id=chain_id,
        community=community,
        community_name=path_name(community),
        coverage=chain.coverage,
        households_milestones=chain.households_steps,
        coverage_milestones=chain.coverage_steps,
        **chain.model_dump(include={"signed", "counted", "households"}),
    )


@router.get("/standings", summary="排行：覆盖率与户数 / Standings by coverage or number")
async def standings(
    campaign_id: str,
    _: Anyone,
    store: StoreDep,
    level: Level = Level.COUNTY,
    under: DivisionCode = CITY,
    sort: SortBy = SortBy.COVERAGE,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Standings:
    await Lookups.of(store).campaign(campaign_id)
    found = await queries.covered_by_division(store, campaign_id, _DIGITS[level], under)
    rows = ranked([_standing(row) for row in found], sort)
    return Standings(total=len(rows), rows=rows[offset : offset + limit])


def _standing(row: dict[str, Any]) -> Standing:
    code, total = row["_id"], households(row["_id"])
    return Standing(
        code=code,
        name=division(code).name,
        full_name=path_name(code),
        counted=row["counted"],
        households=total,
        coverage=coverage_of(row["covered"], total),
        chains=row["chains"],
    )


def ranked(rows: list[Standing], sort: SortBy) -> list[Standing]:
    """Best first; equal values share a place (1, 2, 2, 4), the lower code is listed first."""
    rows = sorted(rows, key=lambda row: (-getattr(row, sort), row.code))
    best: Standing | None = None
    for place, row in enumerate(rows, 1):
        same = best is not None and getattr(best, sort) == getattr(row, sort)
        row.rank = best.rank if best is not None and same else place
        best = row
    return rows
