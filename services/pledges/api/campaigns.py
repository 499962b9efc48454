"""Campaigns: open one, put a new text in force, move its window."""

from typing import Annotated

from services.pledges.domain.campaign import Campaign
from services.pledges.lookups import Lookups
from shared.http.callers import CityOfficer
from shared.http.change import Change
from shared.http.lists import Listing, Page, listed
from shared.http.parameters import StoreDep
from shared.http.routes import Body, Router
from shared.http.views import Instant
from shared.model.clock import now
from shared.model.text import Lines, Title

from .callers import Anyone
from .views import CampaignView

router = Router(prefix="/campaigns", tags=["campaigns"])
Campaigns = Annotated[Listing[Campaign], listed(Campaign, day="opens_at")]

Text = Annotated[str, Lines(4000)]


class Window(Body):
    """From `opens_at` until just before `closes_at`, each with a UTC offset."""

    opens_at: Instant
    closes_at: Instant


class NewCampaign(Window):
    """A campaign with the first version of its text."""

    title: Title
    text: Text


class NewText(Body):
    """The next version of the text."""

    text: Text


@router.post("", status_code=201, summary="创建承诺活动 / Open a campaign")
async def open_campaign(body: NewCampaign, _: CityOfficer, store: StoreDep) -> CampaignView:
    campaign = Campaign.opened(body.title, body.text, body.opens_at, body.closes_at, now())
    return await store.commit(campaign, CampaignView.of)


@router.get("", summary="活动列表 / The campaigns, newest first")
async def list_campaigns(_: Anyone, page: Campaigns) -> Page[CampaignView]:
    return await page({}, [("_id", -1)], CampaignView.of)


@router.get("/{campaign_id}", summary="活动详情 / One campaign")
async def read_campaign(campaign_id: str, _: Anyone, store: StoreDep) -> CampaignView:
    return CampaignView.of(await store.load(Campaign, campaign_id))


@router.post("/{campaign_id}/texts", status_code=201, summary="发布新版承诺书 / Put a new text in force")
async def revise_text(campaign_id: str, body: NewText, _: CityOfficer, change: Change) -> CampaignView:
    view = await change(Campaign, campaign_id, lambda c: c.revise(body.text, now()), CampaignView.of)
    Lookups.of(change.store).forget_campaign(campaign_id)
    return view


@router.put("/{campaign_id}/window", summary="调整活动时间 / Move the window")
async def move_window(campaign_id: str, body: Window, _: CityOfficer, change: Change) -> CampaignView:
    def move(campaign: Campaign) -> None:
        campaign.reschedule(body.opens_at, body.closes_at, now())

    view = await change(Campaign, campaign_id, move, CampaignView.of)
    Lookups.of(change.store).forget_campaign(campaign_id)
    return view
