"""The events of a service that runs: those it has archived, and those that still wait in its documents."""

from typing import Any

import orjson

from shared.host import Host


async def entries(host: Host, service: str, subject: str | None = None) -> list[dict[str, Any]]:
    """All of them (of one aggregate), oldest first."""
    store, found = host.stores[service], dict[str, dict[str, Any]]()
    for model in store.models:  # first: what is archived meanwhile is seen below
        async for document in store.collection(model).find({"outbox.0": {"$exists": True}}, {"outbox": 1}):
            found |= {entry["id"]: entry for entry in document["outbox"]}
    archive = host.client[f"{host.settings.database_prefix}_log"][f"archive_{service}"]
    found |= {row["id"]: row async for row in archive.find({})}
    mine = [entry for entry in found.values() if subject in (None, entry["subject"])]
    return sorted(mine, key=lambda entry: (entry["time"], entry["sequence"]))


def data_of(entry: dict[str, Any]) -> dict[str, Any]:
    """What an event says."""
    return dict(orjson.loads(entry["data"]))
