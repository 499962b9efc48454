"""What the notifier knows of each activity: one file of this folder each, with one `Activity`."""

from importlib import import_module
from pkgutil import iter_modules

from services.notifier.activity import Activity

ACTIVITIES: tuple[Activity, ...] = tuple(
    found
    for module in sorted(module.name for module in iter_modules(__path__, f"{__name__}."))
    for found in vars(import_module(module)).values()
    if isinstance(found, Activity)
)
