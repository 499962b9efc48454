"""How the service is wired."""

from shared.service import Projection, Service

from . import queries
from .api import campaigns, signings
from .consumers import chains
from .domain.campaign import Campaign
from .domain.chain import Chain
from .domain.checkin import CheckIn
from .domain.fraud import ListEntry
from .domain.pledge import Pledge

service = Service(
    name="pledges",
    title="公筷公勺进家庭",
    routers=[campaigns.router, signings.router],
    documents=[Pledge, CheckIn, Campaign, Chain, ListEntry],
    consumers=[chains],
    counts={"pledges": queries.dashboard_counts, "chains": queries.chain_counts},
    projections=[Projection("chains", "pledges", queries.chains_shown)],
)
