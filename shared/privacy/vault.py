"""The vault: one data key per person, wrapped by the master key, in a database of its own.

Erasing a person is deleting their key. Keys are made in batches ahead of need, so that sealing costs a
command no write: a new person takes the next key that is already stored.
"""

import asyncio
import base64
import secrets
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from cachetools import TTLCache
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from shared import security_log
from shared.model.clock import now
from shared.model.events import Event
from shared.model.ids import new_id
from shared.model.personal import PersonId, personal_fields, plaintext, with_plaintext
from shared.model.problems import Erased
from shared.mongo.driver import Binary, Bson, Client, Collection, DuplicateKeyError, UpdateOne, guarded
from shared.mongo.grouping import Grouped
from shared.privacy.keyring import KEY_BYTES, Keyring, decrypt, encrypt
from shared.security_log import Kind

POOL = 250
"""Keys made at a time."""
REWRAPPED = 500
"""Keys wrapped anew at a time."""
ERASURE_SECONDS = 5
"""An erased person's key may live on in a process's cache for so long."""
_INDEX_KEY = "blind-index"


class Vault:
    """Gives out persons and seals and opens their data. `open()` first.

    Methods that need MongoDB wait at most `timeout` seconds, then raise Unavailable.
    """

    def __init__(self, client: Client, prefix: str, keyring: Keyring, *, timeout: float = 1.8) -> None:
        self._keys = client[f"{prefix}_vault"]["keys"]
        self._index_keys = client[f"{prefix}_vault"]["index"]  # apart: services may delete a person's key
        self._erased = client[f"{prefix}_vault"]["erased"]
        self._keyring = keyring
        self._timeout = timeout
        self._pool: deque[tuple[PersonId, AESGCM]] = deque()
        self._refilling = asyncio.Lock()
        self._refill_task: asyncio.Task[None] | None = None
        self._cache: TTLCache[PersonId, AESGCM] = TTLCache(maxsize=50_000, ttl=ERASURE_SECONDS)
        self._fetch: Grouped[PersonId, AESGCM | None] = Grouped(self._fetch_many, timeout)
        self._index: HMAC

    async def open(self) -> None:
        """Load or make the key of the blind index; fill the pool of data keys."""
        with suppress(DuplicateKeyError):
            await self._index_keys.insert_one(self._row(_INDEX_KEY, secrets.token_bytes(KEY_BYTES)))
        stored = await self._index_keys.find_one({"_id": _INDEX_KEY})
        assert stored is not None
        try:
            self._index = HMAC(self._unwrap(stored), SHA256())
        except InvalidTag:
            raise RuntimeError("主密钥与密钥库不符 / The master key does not fit the vault") from None
        await self._refill()

    def close(self) -> None:
        """Make no more keys."""
        if self._refill_task is not None:
            self._refill_task.cancel()

    def _row(self, person: PersonId, key: bytes) -> Bson:
        """A key as it is stored: wrapped by the newest master key, which may have just been changed."""
        self._keyring.reload()
        wrapped = Binary(self._keyring.wrap(key, person))
        return {"_id": person, "wrapped": wrapped, "master": self._keyring.id, "made": now()}

    def _unwrap(self, row: Bson) -> bytes:
        """Raises InvalidTag when no master key fits, the newest included."""
        try:
            return self._keyring.unwrap(row["wrapped"], row["_id"])
        except InvalidTag:
            self._keyring.reload()
            return self._keyring.unwrap(row["wrapped"], row["_id"])

    async def _refill(self) -> None:
        async with self._refilling:
            if len(self._pool) >= POOL // 2:
                return
            made = [(new_id(), secrets.token_bytes(KEY_BYTES)) for _ in range(POOL)]
            await self._keys.insert_many([self._row(person, key) for person, key in made], ordered=False)
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
            found[row["_id"]] = AESGCM(self._unwrap(row))
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
        return encrypt(key, text, context)

    async def open_box(self, person: PersonId, box: bytes, context: str) -> bytes | None:
        """What `seal` encrypted; None when the person was erased."""
        key = await self._key(person)
        return None if key is None else decrypt(key, box, context)

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

    async def erase(self, person: PersonId) -> bool:
        """Delete a person's key: what was sealed with it is gone everywhere, backups of it included.

        False when there was none. Raises Unavailable; then it may or may not be done, and can be repeated.
        """
        async with guarded(self._timeout):
            await self._erased.update_one({"_id": person}, {"$setOnInsert": {"at": now()}}, upsert=True)
            done = await self._keys.delete_one({"_id": person})
        self._cache.pop(person, None)
        if done.deleted_count:
            security_log.record(Kind.KEY_DELETED, key=person)
        return done.deleted_count == 1

    async def rewrap(self) -> int:
        """Wrap with the newest master key what an older one wraps. Returns how many keys that were.

        A key that is deleted meanwhile stays deleted.
        """
        return await self._rewrap(self._index_keys) + await self._rewrap(self._keys)

    async def _rewrap(self, keys: Collection) -> int:
        done = 0
        older = {"master": {"$ne": self._keyring.id}}
        while rows := await keys.find(older, limit=REWRAPPED).to_list(None):
            writes = [self._rewrapped(row) for row in rows]
            done += (await keys.bulk_write(writes, ordered=False)).modified_count
        return done

    def _rewrapped(self, row: Bson) -> UpdateOne:
        fresh = self._row(row["_id"], self._unwrap(row))
        same = {"_id": row["_id"], "wrapped": row["wrapped"]}
        return UpdateOne(same, {"$set": {"wrapped": fresh["wrapped"], "master": fresh["master"]}})

    async def erased(self) -> list[PersonId]:
        """Everybody who was erased."""
        return [row["_id"] async for row in self._erased.find({}, {"_id": 1})]

    async def erase_again(self, persons: Sequence[PersonId]) -> int:
        """Apply a list of erasures to a vault that was restored from a backup. Returns the keys deleted."""
        return sum([await self.erase(person) for person in persons])
