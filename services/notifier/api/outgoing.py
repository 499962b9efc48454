"""What left by SMS, on a local page: for trying things out where no gateway is configured."""

import base64
from datetime import datetime

import orjson
from fastapi import Depends
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from services.notifier.domain.messages import Outgoing, mask_phone
from services.notifier.pages import pages
from services.notifier.queries.messages import valid_codes
from services.notifier.templates import TEMPLATES
from shared.http.parameters import StoreDep
from shared.http.routes import Router
from shared.http.views import GivenId
from shared.model.clock import now
from shared.model.problems import NotFound
from shared.settings import settings
from shared.store.store import Store

from .callers import Trying

SHOWN = 100


async def _only_where_shown() -> None:
    if not settings().show_outgoing_messages:
        raise NotFound


router = Router(tags=["outgoing"], dependencies=[Depends(_only_where_shown)])
About = GivenId | None


class OutgoingView(BaseModel):
    """A code message as it left."""

    pledge_id: str
    claim_id: str
    """What it is about; the other is empty."""
    to: str
    """The phone, masked."""
    code: str
    text: str
    at: datetime
    expires_at: datetime


async def _view(store: Store, outgoing: Outgoing) -> OutgoingView | None:
    """The message with its box opened; None when the person was erased."""
    box = base64.b64decode(outgoing.sealed)
    opened = await store.vault.open_box(outgoing.recipient, box, outgoing.sealed_for)
    if opened is None:
        return None
    personal = orjson.loads(opened)
    facts = {"code": personal["code"], "valid_minutes": outgoing.valid_minutes}
    return OutgoingView(
        pledge_id=outgoing.pledge_id,
        claim_id=outgoing.claim_id,
        to=mask_phone(personal.get("phone")),
        code=personal["code"],
        text=TEMPLATES[outgoing.template].text("zh", facts).body,
        at=outgoing.at,
        expires_at=outgoing.expires_at,
    )


@router.get("/outgoing.json")
async def list_outgoing(
    _: Trying, store: StoreDep, pledge_id: About = None, claim_id: About = None
) -> list[OutgoingView]:
    """The codes that are still valid, newest first; 404 unless the settings allow showing them."""
    return await _shown(store, pledge_id=pledge_id, claim_id=claim_id)


async def _shown(store: Store, **about: str | None) -> list[OutgoingView]:
    found = await valid_codes(store, now(), SHOWN, **about)
    views = [await _view(store, outgoing) for outgoing in found]
    return [view for view in views if view]


@router.get("/outgoing", response_class=HTMLResponse)
async def show_outgoing(_: Trying, store: StoreDep, pledge_id: About = None) -> HTMLResponse:
    """The same as a page."""
    return HTMLResponse(pages.render("outgoing.html", messages=await _shown(store, pledge_id=pledge_id)))
