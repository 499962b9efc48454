"""The pledge dashboard: as JSON, as a stream, as a page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import HTMLResponse
from sse_starlette import EventSourceResponse

from services.notifier.domain.board_views import Snapshot
from services.notifier.live import Live, follow
from services.notifier.pages import pages
from shared.service import StoreDep

from .callers import Anyone

router = APIRouter(prefix="/dashboards/pledges", tags=["dashboards"])


async def _live(request: Request, store: StoreDep) -> Live:
    """This process's live board: made when first asked for."""
    state = request.app.state
    if not hasattr(state, "live"):
        state.live = Live(store)
    live: Live = state.live
    return live


LiveDep = Annotated[Live, Depends(_live)]


@router.get("")
async def pledge_dashboard(_: Anyone, live: LiveDep) -> Snapshot:
    """Totals, by county, by day, and the cells; `id` names the state for the stream."""
    await live.refresh()
    return live.snapshot()


@router.get("/stream", response_class=EventSourceResponse)
async def pledge_stream(
    _: Anyone,
    live: LiveDep,
    last_event_id: Annotated[str | None, Header(max_length=400)] = None,
    since: Annotated[str | None, Query(max_length=400)] = None,
) -> EventSourceResponse:
    """Server-sent events: `snapshot` (none when resuming), `delta`, `heartbeat`, `reset`.

    `Last-Event-ID`, or `since` on a first connection, resumes. A `reset` says that this is not possible
    and is followed by a snapshot: nothing is skipped silently.
    """
    await live.refresh()  # 503 here and now, while there still is a status to answer with
    return EventSourceResponse(follow(live, last_event_id or since), ping=0)


@router.get("/page", response_class=HTMLResponse)
async def pledge_page(_: Anyone, live: LiveDep) -> HTMLResponse:
    """The dashboard for people; it follows the stream."""
    await live.refresh()
    return HTMLResponse(pages.render("pledges.html", board=live.snapshot()))
