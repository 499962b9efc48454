"""Looking after the vault: another master key while the platform runs, erasures after a restore."""

import asyncio
from collections.abc import Iterable

from jinguo.connection import Platform
from shared.keyring import Keyring

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


async def apply_erasures(platform: Platform, persons: Iterable[str]) -> int:
    """Delete the keys of persons who were erased, again. Returns how many there were to delete."""
    known = {*persons, *await platform.vault.erased()}
    return await platform.vault.erase_again(sorted(known))
