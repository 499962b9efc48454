"""Documents and events in bulk, in the shape that the store and the relay write them."""

import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

from bench.forms import evenly, forms
from bench.load import SIGNING_KEY
from services.pledges.app import service
from services.pledges.domain.campaign import Campaign
from services.pledges.domain.identity import keys_of, signing_key
from services.pledges.domain.pledge import Pledge, chain_id_of, code_text
from shared.city.days import local_day
from shared.city.divisions import communities
from shared.contracts.pledges import PledgeSigned, SignerRole
from shared.model.clock import now
from shared.model.ids import new_id
from shared.mongo.driver import Bson, Client, PyMongoError, is_transient
from shared.privacy.keyring import Keyring
from shared.privacy.vault import Vault
from shared.settings import Settings
from shared.store.store import Store
from shared.store.writes import Write
from shared.telemetry import new_traceparent

CODE = "202003"
CHUNK = 5000
_numbers = iter(range(1_000_000, 10**8, 1_000_000))
"""Where the phones of each filling begin."""


def _campaign() -> Campaign:
    at = datetime.now(UTC)
    return Campaign.opened("公筷公勺进家庭", "我家承诺", at - timedelta(days=1), at + timedelta(days=30), at)


async def _signed(vault: Vault, campaign: Campaign, form: dict[str, Any]) -> Pledge:
    fields = {name: value for name, value in form.items() if name != "consent"}
    keys = keys_of(vault.blind_index, form["community"], form["door"], form["phone"], form["name"])
    signer = await vault.new_person()
    fields |= {"signing_key": signing_key(vault.blind_index, SIGNING_KEY), "signer": signer}
    pledge = Pledge.signed(campaign, keys, now=now(), **fields)
    pledge.send_code(CODE, vault.blind_index(code_text(pledge.id, CODE)), now())
    return pledge


async def pending_pledges(
    vault: Vault, campaign_id: str | None, places: Sequence[str], *, events: bool = False
) -> list[Bson]:
    """Signed pledges as the store inserts them; all wait for CODE. `events`: still in their outbox."""
    campaign = _campaign()
    campaign.id = campaign_id or campaign.id
    found = []
    for form in forms(places, next(_numbers)):
        write = await Write.of(await _signed(vault, campaign, form), vault, None)
        found.append(_document(write) if events else _document(write) | {"outbox": []})
    return found


def _document(write: Write) -> Bson:
    inserted: Bson = write.operation()._doc  # type: ignore[union-attr]
    return inserted


async def counted_pledges(vault: Vault, count: int) -> AsyncIterator[Bson]:
    """Counted pledges of one campaign: one made by the rules, the others alike with keys of their own."""
    [form] = forms(evenly(1), next(_numbers))
    pledge = await _signed(vault, _campaign(), form)
    pledge.verify(now())
    pledge.count(1, secrets.token_urlsafe(16), now())
    like = _document(await Write.of(pledge, vault, None)) | {"outbox": []}
    chance, serials = random.Random(count), Counter[str]()
    for place in cycle(evenly(min(count, len(communities())))):
        if serials.total() == count:
            return
        serials[place] += 1
        key = chance.randbytes(80).hex()
        yield like | {
            "_id": new_id(),
            "signer": new_id(),
            "division": place,
            "chain_id": chain_id_of(pledge.campaign_id, place),
            "serial": serials[place],
            "phone_key": key[:40],
            "identities": [key[40:80], key[80:120]],
            "token": key[120:142],
        }


async def store_many(
    client: Client, settings: Settings, pledges: AsyncIterator[Bson] | Sequence[Bson]
) -> None:
    """Insert pledges in bulk; indexes that do not exist are made afterwards, which is many times faster."""
    store = Store(
        client,
        settings.database_prefix,
        "pledges",
        Vault(client, settings.database_prefix, Keyring.of(settings)),
    )
    collection = store.collection(Pledge)
    async for chunk in _chunks(pledges):
        await collection.insert_many(chunk, ordered=False)
    while True:
        try:
            await store.prepare(service.stored)
        except PyMongoError as error:
            if not is_transient(error):
                raise
            continue  # an index of many documents takes longer than an answer may: it is still being made
        return


async def _chunks(documents: AsyncIterator[Bson] | Sequence[Bson]) -> AsyncIterator[list[Bson]]:
    if isinstance(documents, Sequence):
        for at in range(0, len(documents), CHUNK):
            yield list(documents[at : at + CHUNK])
        return
    chunk: list[Bson] = []
    async for document in documents:
        chunk.append(document)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def signed_events(count: int, *, poison: str | None = None) -> Iterator[Bson]:
    """Events as the relay archives them, each of its own household; every hundredth of `poison`, if given."""
    today = local_day(now())
    for i, place in enumerate(evenly(count)):
        subject = poison if poison and i % 100 == 0 else new_id()
        event = PledgeSigned(
            division=place,
            pledge_id=subject,
            campaign_id="bench",
            chain_id=chain_id_of("bench", place),
            serial=i + 1,
            signer=new_id(),
            role=SignerRole.HOSTESS,
            members=3,
            day=today,
        )
        yield {
            "id": f"{subject}.{i}.0",
            "type": event.type,
            "subject": subject,
            "sequence": i,
            "time": now(),
            "data": event.model_dump_json(exclude_none=True),
            "division": place,
            "traceparent": new_traceparent(),
            "cause": None,
        }
