"""How the service is wired."""

from shared.http import challenges
from shared.service import Service
from shared.store.deadlines import Closing, Deadline
from shared.store.tallies import Projection
from shared.store.turns import Turn

from . import queries
from .api import campaigns, certificates, chains, checkins, claims, fraud, photos, reviews, signings, teams
from .consumers import chains as chains_consumer
from .domain.campaign import Campaign
from .domain.chain import Chain
from .domain.checkin import CheckIn
from .domain.claim import MemberClaim
from .domain.fraud import ListEntry
from .domain.invalidation import Invalidation
from .domain.photo import Photo
from .domain.pledge import Pledge
from .domain.states import PENDING
from .domain.team import Member, Observation, Talk, Team
from .jobs import strike_out
from .lookups import Lookups
from .pages import pages

routes = (
    signings,
    checkins,
    photos,
    chains,
    campaigns,
    reviews,
    certificates,
    teams,
    claims,
    fraud,
)  # busiest first
service = Service(
    name="pledges",
    title="公筷公勺进家庭",
    routers=[*(module.router for module in routes), challenges.router],
    documents=[
        *(Pledge, CheckIn, Photo, Campaign, Chain),
        *(Team, Member, Talk, Observation, MemberClaim, Turn),
        *(ListEntry, Invalidation),
    ],
    consumers=[chains_consumer],
    jobs=[strike_out],
    deadlines=[
        Closing(Pledge, "campaign_id", PENDING, Pledge.lapse, Campaign, "ends_at", Campaign.ended),
        Deadline(MemberClaim, "deadline", MemberClaim.lapse),
    ],
    projections=[Projection("chains", "pledges", ("chain",), ("signed", "counted"), queries.chains_shown)],
    resources=[Lookups],
    open_topic="姓名、电话、门牌均已加密，其余本已公开 / who pledged is sealed, the rest is public anyway",
    pages=pages,
    demo="services.pledges.demo",
)
