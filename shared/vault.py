"""The vault: one data key per person, wrapped by the master key, in a database of its own.

Erasing a person is deleting their key. Keys are made in batches ahead of need, so that sealing costs a
command no write: a new person takes the next key that is already stored.
"""

import asyncio
import base64
import os
import secrets
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from cachetools import TTLCache
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from shared.clock import now
from shared.events import Event
from shared.ids import new_id
from shared.personal import PersonId, personal_fields, plaintext, with_plaintext
from shared.problems import Erased
from shared.settings import Settings
from shared.store.driver import Binary, Client, DuplicateKeyError, guarded
from shared.store.grouping import Grouped

POOL = 250
"""Keys made at a time."""
ERASURE_SECONDS = 5
"""An erased person's key may live on in a process's cache for so long."""
_NONCE = 12
_INDEX_KEY = "blind-index"


def master_key(settings: Settings) -> bytes:
    """The 32-byte master key, from the settings or the key file (made when `data_dir` has none yet)."""
    if settings.master_key:
        return base64.b64decode(settings.master_key.get_secret_value())
    path = settings.master_key_file or settings.data_dir / "master.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)))
    return base64.b64decode(Path(path).read_bytes())


def _encrypt(key: AESGCM, text: bytes, context: str) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, text, context.encode())


def _decrypt(key: AESGCM, box: bytes, context: str) -> bytes:
    return key.decrypt(box[:_NONCE], box[_NONCE:], context.encode())


class Vault:
    """Gives out persons and seals and opens their data. `open()` first.

    Methods that need MongoDB wait at most `timeout` seconds, then raise Unavailable.
    """

    def __init__(self, client: Client, prefix: str, master: bytes, *, timeout: float = 1.8) -> None:
        self._keys = client[f"{prefix}_vault"]["keys"]
        self._erased = client[f"{prefix}_vault"]["erased"]
        self._master = AESGCM(master)
        self._timeout = timeout
        self._pool: deque[tuple[PersonId, AESGCM]] = deque()
        self._refilling = asyncio.Lock()
        self._refill_task: asyncio.Task[None] | None = None
        self._cache: TTLCache[PersonId, AESGCM] = TTLCache(maxsize=50_000, ttl=ERASURE_SECONDS)
        self._fetch: Grouped[PersonId, AESGCM | None] = Grouped(self._fetch_many, timeout)
        self._index: HMAC

    async def open(self) -> None:
        """Load or make the key of the blind index; fill the pool of data keys."""
        fresh = {"_id": _INDEX_KEY, "wrapped": Binary(self._wrap(_INDEX_KEY, secrets.token_bytes(32)))}
        with suppress(DuplicateKeyError):
            await self._keys.insert_one(fresh)
        stored = await self._keys.find_one({"_id": _INDEX_KEY})
        assert stored is not None
        try:
            self._index = HMAC(_decrypt(self._master, stored["wrapped"], _INDEX_KEY), SHA256())
        except InvalidTag:
            raise RuntimeError("主密钥与密钥库不符 / The master key does not fit the vault") from None
        await self._refill()

    def close(self) -> None:
        """Make no more keys."""
        if self._refill_task is not None:
            self._refill_task.cancel()

    def _wrap(self, person: PersonId, key: bytes) -> bytes:
        return _encrypt(self._master, key, person)

    async def _refill(self) -> None:
        async with self._refilling:
            if len(self._pool) >= POOL // 2:
                return
            made = [(new_id(), secrets.token_bytes(32)) for _ in range(POOL)]
            rows: list[dict[str, Any]] = [
                {"_id": person, "wrapped": Binary(self._wrap(person, key)), "made": now()}
                for person, key in made
            ]
            await self._keys.insert_many(rows, ordered=False)
            self._pool.extend((person, AESGCM(key)) for person, key in made)

    async def new_person(self) -> PersonId:
        """A person nobody has been yet, whose key is already stored."""
        if len(self._pool) < POOL // 2 and (self._refill_task is None or self._refill_task.done()):
            self._refill_task = asyncio.create_task(self._refill())
        while not self._pool:
            async with guarded(self._timeout):
                await self._refill()
        person, key = self._pool.popleft()
        self._cache[person] = key
        return person

    def blind_index(self, value: str) -> str:
        """A keyed HMAC of a personal value: equal values can be matched, nobody can guess them."""
        hmac = self._index.copy()
        hmac.update(value.encode())
        return hmac.finalize()[:20].hex()

    async def _fetch_many(self, persons: list[PersonId]) -> list[AESGCM | Exception | None]:
        found: dict[PersonId, AESGCM] = {}
        async for row in self._keys.find({"_id": {"$in": list(set(persons))}}):
            found[row["_id"]] = AESGCM(_decrypt(self._master, row["wrapped"], row["_id"]))
        self._cache.update(found)
        return [found.get(person) for person in persons]

    async def _key(self, person: PersonId) -> AESGCM | None:
        return self._cache.get(person) or await self._fetch(person)

    async def seal(self, person: PersonId, text: bytes, context: str) -> bytes:
        """Encrypt for a person; `context` (where it is kept) must be given again to open it.

        Raises Erased, Unavailable.
        """
        key = await self._key(person)
        if key is None:
            raise Erased()
        return _encrypt(key, text, context)

    async def open_box(self, person: PersonId, box: bytes, context: str) -> bytes | None:
        """What `seal` encrypted; None when the person was erased."""
        key = await self._key(person)
        return None if key is None else _decrypt(key, box, context)

    async def seal_event(self, event: Event) -> Event:
        """The event with its personal fields boxed, ready to be stored and sent."""
        person, fields = event.person_id, personal_fields(type(event))
        if person is None or all(getattr(event, name) is None for name in fields):  # erased, perhaps
            return event
        box = await self.seal(person, plaintext(event), event.type)
        blank: dict[str, Any] = dict.fromkeys(fields)
        return event.model_copy(update=blank | {"sealed": base64.b64encode(box).decode()})

    async def open_event(self, event: Event) -> None:
        """Open the box of a delivered event in place; those of one turn share a look at the vault.

        Raises ValueError when the box was not sealed for this event.
        """
        person = event.person_id
        if not event.sealed or person is None:
            return
        try:
            opened = await self.open_box(person, base64.b64decode(event.sealed), event.type)
        except InvalidTag:
            raise ValueError("the sealed fields cannot be opened") from None
        with_plaintext(event, opened)

    async def erase(self, person: PersonId) -> None:
        """Delete a person's key: what was sealed with it is gone everywhere, backups of it included.

        Raises Unavailable; then it may or may not be done, and can be repeated.
        """
        async with guarded(self._timeout):
            await self._erased.update_one({"_id": person}, {"$setOnInsert": {"at": now()}}, upsert=True)
            await self._keys.delete_one({"_id": person})
        self._cache.pop(person, None)
