"""The list of services. Adding one is: its folder, its contract, and one line here."""

from services.notifier.app import service as notifier
from services.pledges.app import service as pledges
from services.referrals.app import service as referrals
from shared.service import Service, together

SERVICES = together(pledges, referrals, notifier)


def named(*names: str) -> list[Service]:
    """The services with these names. Raises KeyError for a name that is none."""
    known = {service.name: service for service in SERVICES}
    return [known[name] for name in names]
