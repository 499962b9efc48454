"""The routes of a board: as JSON, as a stream, as a page."""

from typing import Annotated

from fastapi import Depends, Header
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sse_starlette import EventSourceResponse

from services.notifier.boards.declare import Board
from services.notifier.boards.live import Boards, Live
from services.notifier.boards.stream import follow
from services.notifier.pages import pages
from shared.http.access import anyone
from shared.http.parameters import StoreDep
from shared.http.routes import Router
from shared.http.views import Cursor

SEND_SECONDS = 30
"""A client that takes nothing for so long is cut off; it comes back with its last id."""
_OPENING = anyone("看板页面，非公开数据另需令牌 / the page: what is not public asks for a token")


def routes_of(board: Board) -> Router:
    """The routes under `/dashboards/<source>`, for those who may read it."""
    router = Router(prefix=f"/dashboards/{board.source}", tags=["dashboards"])
    readers, title = [board.readers], f"{board.title} / {board.title_en}"

    async def live_board(store: StoreDep) -> Live:
        return store.resource(Boards).live(board)

    live_dep = Annotated[Live, Depends(live_board)]

    @router.get("", dependencies=readers, response_model=board.snapshot, summary=f"看板 {title}")
    async def whole(live: live_dep) -> BaseModel:
        """The whole board as of now."""
        await live.refresh()
        return live.view()

    @router.get("/stream", dependencies=readers, response_class=EventSourceResponse, summary=f"实时 {title}")
    async def stream(
        live: live_dep,
        last_event_id: Annotated[Cursor | None, Header()] = None,
        since: Cursor | None = None,
    ) -> EventSourceResponse:
        """Server-sent events: `snapshot` (none when resuming), `delta`, `heartbeat`, `reset`.

        `Last-Event-ID`, or `since` on a first connection, resumes. A `reset` says that this is not possible
        and is followed by a snapshot: nothing is skipped silently. A board that hides small groups tells its
        snapshot whenever a figure changed, and has no ids.
        """
        live.check_room()
        await live.refresh()  # 503 here and now, while there still is a status to answer with
        return EventSourceResponse(follow(live, last_event_id or since), ping=0, send_timeout=SEND_SECONDS)

    @router.get("/page", dependencies=[_OPENING], response_class=HTMLResponse, summary=f"页面 {title}")
    async def page(live: live_dep) -> HTMLResponse:
        """The board for people; it follows the stream. What asks for a token is not on the page itself."""
        given = None
        if not board.readers.dependency.roles:
            await live.refresh()
            given = live.view().model_dump(mode="json")
        return HTMLResponse(pages.render("board.html", about=board.about(), board=given))

    return router
