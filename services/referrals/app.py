"""How the service is wired."""

from shared.service import Service
from shared.store.deadlines import Deadline
from shared.store.turns import Turn

from .api import asking, capacity, claims, clinical, emergencies, exporting, logistics
from .domain.claim import PatientClaim
from .domain.reading import Grant, Reading
from .domain.referral import Referral
from .domain.slot import Slot
from .domain.ward import Ward
from .persons import personal

routes = (asking, claims, logistics, clinical, exporting, capacity, emergencies)
service = Service(
    name="referrals",
    title="女性健康公益关爱",
    routers=[module.router for module in routes],
    documents=[Referral, Slot, Ward, Reading, Grant, PatientClaim, Turn],
    deadlines=[
        Deadline(Referral, "deadline", Referral.fall_due),
        Deadline(Slot, "deadline", Slot.fall_due),
        Deadline(Grant, "deadline", Grant.fall_due),
        Deadline(PatientClaim, "deadline", PatientClaim.lapse),
    ],
    personal=personal,
    demo="services.referrals.demo",
)
