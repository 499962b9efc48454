"""What callers get to see: never a name, phone or door, for answers are stored with their keys."""

from datetime import date, datetime
from typing import Any, Self

from services.pledges.domain.campaign import PledgeText
from services.pledges.domain.pledge import Pledge
from services.pledges.domain.states import PENDING, PledgeState
from shared.city.divisions import path_name
from shared.contracts.pledges import SignerRole
from shared.http.views import DocumentView, StateView
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


class PledgeView(StateView):
    """A pledge without what is personal."""

    campaign_id: str
    text_version: int
    chain_id: str
    community: str
    community_name: str
    role: SignerRole
    members: int
    state: PledgeState
    code_expires_at: datetime | None
    serial: int | None
    day: date | None
    certificate: str | None

    @classmethod
    def of(cls, document: Pledge, **more: Any) -> Self:
        return super().of(
            document,
            community=document.division,
            community_name=path_name(document.division),
            code_expires_at=document.code_expires_at if document.state is PENDING else None,
            serial=document.serial or None,
            day=document.signed_day,
            certificate=certificate_url(document.token) if document.token else None,
            **more,
        )


class PledgeRecord(PledgeView):
    """A pledge with its history and why it was held: for the reviewer."""

    held: list[str]
    history: list[Transition]
