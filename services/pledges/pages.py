"""Pages for people: the certificate to print, and the public page behind its QR code."""

import io
from functools import lru_cache
from pathlib import Path

import segno
from markupsafe import Markup

from shared.city.divisions import path_name
from shared.http.pages import Pages
from shared.model.names import mask_name

from .domain.campaign import Campaign
from .domain.pledge import Pledge
from .domain.states import PledgeState

pages = Pages("pledges", Path(__file__).with_name("templates"))
STATES = {
    PledgeState.COUNTED: ("有效", "In force"),
    PledgeState.WITHDRAWN: ("已由本户撤回", "Withdrawn by the household"),
    PledgeState.INVALIDATED: ("已作废", "Invalidated"),
}


@lru_cache(maxsize=1000)
def qr_svg(url: str) -> str:
    """A QR code as an SVG element that scales with its frame."""
    out = io.BytesIO()
    segno.make(url, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, omitsize=True, dark="#7a1420", border=2, title="扫码核验"
    )
    return out.getvalue().decode()


def certificate(pledge: Pledge, campaign: Campaign, url: str) -> str:
    """The certificate, to print or keep. `pledge` must be opened."""
    text = next(text.text for text in campaign.texts if text.number == pledge.text_version)
    return _page("certificate.html", pledge, campaign, url, text=text)


def verification(pledge: Pledge, campaign: Campaign, url: str) -> str:
    """What anybody sees who scans the code. `pledge` must be opened."""
    return _page("verification.html", pledge, campaign, url)


def missing() -> str:
    """There is no certificate under this token."""
    return pages.render("missing.html")


def _page(template: str, pledge: Pledge, campaign: Campaign, url: str, **more: str) -> str:
    state, state_en = STATES[pledge.state]
    assert pledge.signed_day
    return pages.render(
        template,
        title=campaign.title,
        name=mask_name(pledge.name),
        place=path_name(pledge.division),
        serial=pledge.serial,
        members=pledge.members,
        day=f"{pledge.signed_day.year}年{pledge.signed_day.month}月{pledge.signed_day.day}日",
        day_iso=pledge.signed_day.isoformat(),
        valid=pledge.state is PledgeState.COUNTED,
        state=state,
        state_en=state_en,
        ended=pledge.ended_day.isoformat() if pledge.ended_day else "",
        url=url,
        qr=Markup(qr_svg(url)),  # our own markup, of an URL that segno encodes
        **more,
    )
