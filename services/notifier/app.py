"""How the notifier is wired."""

from services.notifier.api import dashboards, inbox, outgoing
from services.notifier.consumers import contacts, dashboard, messages
from services.notifier.domain.messages import Contact, Message, Outgoing
from services.notifier.queries.board import shown
from shared.service import Projection, Service

service = Service(
    name="notifier",
    title="消息与看板",
    routers=[inbox.router, outgoing.router, dashboards.router],
    documents=[Message, Outgoing, Contact],
    consumers=[messages, contacts, dashboard],
    projections=[Projection("pledges", "pledges", shown=shown)],
)
