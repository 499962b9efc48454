"""How the notifier is wired."""

from services.notifier.api import dashboards, inbox, outgoing, referral_dashboard
from services.notifier.consumers import contacts, dashboard, messages
from services.notifier.domain.messages import Contact, Message, Outgoing
from services.notifier.pages import pages
from services.notifier.persons import personal_data
from services.notifier.queries.board import shown
from services.notifier.queries.referral_board import referrals_shown
from services.notifier.referral_consumers import referral_dashboard as referral_counts
from shared import persons
from shared.service import Projection, Service

service = Service(
    name="notifier",
    title="消息与看板",
    routers=[
        inbox.router,
        outgoing.router,
        dashboards.router,
        referral_dashboard.router,
        persons.router(personal_data),
    ],
    documents=[Message, Outgoing, Contact, persons.Erasure],
    consumers=[messages, contacts, dashboard, referral_counts],
    projections=[
        Projection("pledges", "pledges", shown=shown),
        Projection("referrals", "referrals", shown=referrals_shown),
    ],
    personal=personal_data,
    pages=pages,
)
