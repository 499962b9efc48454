"""How the notifier is wired."""

from services.notifier.activities import ACTIVITIES
from services.notifier.api import inbox, outgoing
from services.notifier.boards.audit import projection_of
from services.notifier.boards.live import Boards
from services.notifier.boards.routes import routes_of
from services.notifier.consumers import messages
from services.notifier.domain.messages import Contact, Message, Outgoing
from services.notifier.pages import pages
from services.notifier.persons import personal
from shared.service import Service

BOARDS = [activity.board for activity in ACTIVITIES]
service = Service(
    name="notifier",
    title="消息与看板",
    routers=[inbox.router, outgoing.router, *map(routes_of, BOARDS)],
    documents=[Message, Outgoing, Contact],
    consumers=[messages, *(board.consumer for board in BOARDS)],
    projections=[projection_of(board) for board in BOARDS],
    resources=[Boards],
    personal=personal,
    pages=pages,
)
