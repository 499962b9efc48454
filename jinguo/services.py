"""The services. Adding one is: its folder, its contract, its file in the notifier, and its name here."""

from importlib import import_module

from shared.service import Service, together

NAMES = ("pledges", "referrals", "notifier")
SERVICES = together(*(import_module(f"services.{name}.app").service for name in NAMES))


def named(*names: str) -> list[Service]:
    """The services with these names. Raises KeyError for a name that is none."""
    known = {service.name: service for service in SERVICES}
    return [known[name] for name in names]
