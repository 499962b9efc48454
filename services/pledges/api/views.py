"""What callers get to see: never a name, phone or door, for answers are stored with their keys."""

from datetime import date, datetime

from services.pledges.domain.campaign import Campaign, PledgeText
from services.pledges.domain.pledge import Pledge
from services.pledges.domain.states import PENDING, PledgeState
from shared.city.divisions import path_name
from shared.contracts.pledges import SignerRole
from shared.http.views import DocumentView
from shared.model.workflow import Transition
from shared.settings import settings


def certificate_url(token: str) -> str:
    """The public page of a certificate, as its QR code says it."""
    return f"{settings().public_url.rstrip('/')}/pledges/certificates/{token}"


class CampaignView(DocumentView):
    """A campaign and all versions of its text."""

    title: str
    text_version: int
    texts: list[PledgeText]
    opens_at: datetime
    closes_at: datetime

    @classmethod
    def of(cls, campaign: Campaign) -> "CampaignView":
        return cls(text_version=campaign.text_version, **campaign.model_dump())


class PledgeView(DocumentView):
    """A pledge without what is personal. `queue`: whose turn it is; `legal`: the moves possible now."""

    campaign_id: str
    text_version: int
    chain_id: str
    community: str
    community_name: str
    role: SignerRole
    members: int
    state: PledgeState
    queue: str | None
    legal: list[str]
    code_expires_at: datetime | None
    serial: int | None
    day: date | None
    certificate: str | None

    @classmethod
    def of(cls, pledge: Pledge) -> "PledgeView":
        return cls(**_shown(pledge))


class PledgeRecord(PledgeView):
    """A pledge with its history and why it was held: for the reviewer."""

    held: list[str]
    history: list[Transition]

    @classmethod
    def of(cls, pledge: Pledge) -> "PledgeRecord":
        return cls(**_shown(pledge), held=pledge.held, history=pledge.history)


def _shown(pledge: Pledge) -> dict[str, object]:
    same = ("id", "version", "campaign_id", "text_version", "chain_id", "role", "members", "state")
    return {name: getattr(pledge, name) for name in same} | {
        "community": pledge.division,
        "community_name": path_name(pledge.division),
        "queue": pledge.queue,
        "legal": pledge.legal,
        "code_expires_at": pledge.code_expires_at if pledge.state is PENDING else None,
        "serial": pledge.serial or None,
        "day": pledge.signed_day,
        "certificate": certificate_url(pledge.token) if pledge.token else None,
    }
