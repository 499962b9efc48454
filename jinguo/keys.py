"""Looking after the vault: another master key while the platform runs, erasures after a restore."""

import asyncio
from collections.abc import Iterable

from jinguo.connection import Platform
from jinguo.services import SERVICES
from shared.privacy.keyring import Keyring

SETTLE = 2.0
"""Seconds after which whoever had begun to wrap with the older key has stored what it wrapped."""


async def rotate(platform: Platform) -> int:
    """Make a new master key and wrap every data key with it. Returns how many were wrapped anew.

    The older keys stay in the file: backups need them. Raises LookupError where keys are not in a file.
    """
    Keyring.of(platform.settings).add()
    await platform.vault.open()
    done = await platform.vault.rewrap()
    while True:
        await asyncio.sleep(SETTLE)
        late = await platform.vault.rewrap()
        done += late
        if not late:
            return done


async def apply_erasures(platform: Platform, persons: Iterable[str]) -> tuple[int, int]:
    """Erase again whom a restored backup brought back: delete their keys, and let every service mark what it
    has of them. Returns how many keys, and how many records of persons, there were."""
    known = sorted({*persons, *await platform.vault.erased()})
    deleted = await platform.vault.erase_again(known)
    marked = [
        await service.persons.erase_again(platform.stores[service.name], known)
        for service in SERVICES
        if service.persons
    ]
    return deleted, sum(marked)
