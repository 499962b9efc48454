"""The vault: master keys that change while everything runs, and erasures that hold after a restore."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jinguo.keys import rotate
from shared.model.problems import Erased
from shared.mongo.driver import Client, connect
from shared.privacy.keyring import Keyring
from shared.privacy.vault import ERASURE_SECONDS, Vault
from shared.settings import Settings

CONTEXT = "accounts/a"


@pytest.fixture
async def settings(mongodb_uri: str, tmp_path: Path) -> Settings:
    return Settings(mongodb_uri=mongodb_uri, database_prefix=f"v{uuid4().hex[:12]}", data_dir=tmp_path)


@pytest.fixture
async def client(mongodb_uri: str) -> AsyncIterator[Client]:
    found = connect(mongodb_uri)
    yield found
    found.close()


async def opened(client: Client, settings: Settings, keyring: Keyring | None = None) -> Vault:
    """The vault as one more process has it."""
    vault = Vault(client, settings.database_prefix, keyring or Keyring.of(settings), timeout=10)
    await vault.open()
    return vault


async def rows(client: Client, settings: Settings) -> list[dict[str, Any]]:
    return await client[f"{settings.database_prefix}_vault"]["keys"].find().to_list(None)


class Operator:
    """What `rotate` works through."""

    def __init__(self, vault: Vault, settings: Settings) -> None:
        self.vault, self.settings = vault, settings


async def test_the_master_key_changes_while_persons_are_sealed(client: Client, settings: Settings) -> None:
    running = await opened(client, settings)
    boxes: dict[str, bytes] = {}
    going = True

    async def seal_on() -> None:
        while going:
            person = await running.new_person()
            boxes[person] = await running.seal(person, person.encode(), CONTEXT)
            await asyncio.sleep(0.004)  # some hundred a second

    sealing = asyncio.create_task(seal_on())
    before = Keyring.of(settings)
    operator: Any = Operator(await opened(client, settings), settings)
    await rotate(operator)
    going = False
    await sealing
    newest = Keyring.of(settings)
    assert newest.id != before.id
    assert {row["master"] for row in await rows(client, settings)} == {newest.id}
    # A process that has the new key alone opens all of it, and matches what was matched before.
    [first, *_] = (settings.data_dir / "master.key").read_text().split()
    fresh = await opened(client, settings, Keyring(first))
    assert len(boxes) > 250
    for person, box in boxes.items():
        assert await fresh.open_box(person, box, CONTEXT) == person.encode()
    assert fresh.blind_index("13800000000") == running.blind_index("13800000000")


async def test_another_master_key_does_not_open_the_vault(client: Client, settings: Settings) -> None:
    await opened(client, settings)
    other = base64.b64encode(b"x" * 32).decode()
    with pytest.raises(RuntimeError, match="does not fit"):
        await opened(client, settings, Keyring(other))
    with pytest.raises(ValueError, match="32 bytes"):
        Keyring("c2hvcnQ=")


async def test_keys_of_the_environment_are_not_rotated(settings: Settings) -> None:
    given = settings.model_copy(update={"master_key": None})
    assert Keyring.of(given).id
    fixed = Settings(master_key=base64.b64encode(b"k" * 32).decode())
    with pytest.raises(LookupError):
        Keyring.of(fixed).add()


async def test_an_erasure_is_seen_by_other_processes_within_five_seconds(
    client: Client, settings: Settings
) -> None:
    one, other = await opened(client, settings), await opened(client, settings)
    person = await one.new_person()
    box = await one.seal(person, b"secret", CONTEXT)
    assert await other.open_box(person, box, CONTEXT) == b"secret"  # its cache is warm now
    await one.erase(person)
    assert await one.open_box(person, box, CONTEXT) is None
    other._cache.expire(time.monotonic() + ERASURE_SECONDS)  # so much later
    assert await other.open_box(person, box, CONTEXT) is None


async def test_an_erasure_holds_after_the_vault_was_restored(client: Client, settings: Settings) -> None:
    vault = await opened(client, settings)
    person, other = await vault.new_person(), await vault.new_person()
    box = await vault.seal(person, b"secret", CONTEXT)
    backup = await rows(client, settings)
    await vault.erase(person)
    listed = await vault.erased()
    assert listed == [person]
    database = client[f"{settings.database_prefix}_vault"]
    await database.drop_collection("keys")
    await database.drop_collection("erased")
    await database["keys"].insert_many(backup)
    restored = await opened(client, settings)
    assert await restored.open_box(person, box, CONTEXT) == b"secret"  # the restore brought it back
    assert await restored.erase_again(listed) == 1
    assert await restored.open_box(person, box, CONTEXT) is None
    with pytest.raises(Erased):
        await restored.seal(person, b"more", CONTEXT)
    assert await restored.seal(other, b"others", CONTEXT)
    assert await restored.erased() == [person]
