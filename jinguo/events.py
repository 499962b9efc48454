"""The published language as documents: AsyncAPI 3 and JSON Schemas, generated from the event models.

The committed schemas are the baseline: a change that breaks readers of an existing version is refused.
"""

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import shared.contracts
from shared.model.events import Event
from shared.model.personal import personal_fields

Schema = dict[str, Any]


class BreakingChange(Exception):
    """An existing version of an event would no longer be what its readers rely on."""


def declared() -> list[type[Event]]:
    """All events of all contracts, by type."""
    for module in pkgutil.iter_modules(shared.contracts.__path__):
        importlib.import_module(f"shared.contracts.{module.name}")
    ours = [event for event in Event.registry.values() if event.__module__.startswith("shared.contracts.")]
    return sorted(ours, key=lambda event: event.type)


def schema_of(event: type[Event]) -> Schema:
    """What is on the wire: the personal fields are inside `sealed`, never beside it."""
    schema = event.model_json_schema()
    for name in personal_fields(event):
        schema["properties"].pop(name)
    if personal_fields(event):
        schema["properties"]["sealed"]["description"] = (
            f"AES-GCM box (base64) of: {', '.join(sorted(personal_fields(event)))}; for the notifier alone"
        )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": event.type, **schema}


def asyncapi() -> Schema:
    """The AsyncAPI 3 document of all topics."""
    sources = sorted({event.source for event in declared()})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "巾帼 Jinguo events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0, binary mode on Kafka; the key is the aggregate's id.",
        },
        "defaultContentType": "application/json",
        "channels": {source: _channel(source) for source in sources},
        "operations": {
            f"publish-{source}": {"action": "send", "channel": {"$ref": f"#/channels/{source}"}}
            for source in sources
        },
        "components": {"messages": {event.type: _message(event) for event in declared()}},
    }


def _channel(source: str) -> Schema:
    events = [event for event in declared() if event.source == source]
    return {
        "address": f"jinguo.{source}",
        "description": f"Every event of the service {source}, in order per aggregate.",
        "messages": {event.type: {"$ref": f"#/components/messages/{event.type}"} for event in events},
    }


def _message(event: type[Event]) -> Schema:
    header = {"type": "string"}
    names = ["id", "source", "specversion", "type", "subject", "time", "sequence", "position", "previous"]
    headers = {f"ce_{name}": header for name in [*names, "division", "cause", "traceparent"]}
    return {
        "name": event.type,
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "headers": {"type": "object", "properties": headers, "required": [f"ce_{name}" for name in names]},
        "payload": {"$ref": f"schemas/{event.type}.json"},
    }


def _documents() -> dict[str, Schema]:
    schemas = {f"schemas/{event.type}.json": schema_of(event) for event in declared()}
    return {"asyncapi.json": asyncapi(), **schemas}


def _text(document: Schema) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def generate(folder: Path) -> int:
    """Write all documents. Returns how many. Raises BreakingChange before anything is written."""
    documents = _documents()
    for event in declared():
        known = folder / f"schemas/{event.type}.json"
        if known.exists():
            refuse_breaking(
                event.type, json.loads(known.read_text()), documents[f"schemas/{event.type}.json"]
            )
    for name, document in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_text(document))
    return len(documents)


def stale(folder: Path) -> list[str]:
    """The documents that are missing, not current, or of an event that is no longer declared."""
    documents = _documents()
    wrong = [name for name, doc in documents.items() if not _is(folder / name, _text(doc))]
    left = {str(path.relative_to(folder)) for path in folder.rglob("*.json")} - documents.keys()
    return sorted({*wrong, *left})


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def refuse_breaking(type_: str, old: Schema, new: Schema) -> None:
    """Readers of `old` must be able to read `new`: no property gone, none of another shape, none optional
    that was certain. Raises BreakingChange."""
    for name, shape in old["properties"].items():
        if name not in new["properties"]:
            raise BreakingChange(f"{type_}: {name} is gone; declare a new version")
        if _shape(shape, old) != _shape(new["properties"][name], new):
            raise BreakingChange(f"{type_}: {name} has another shape; declare a new version")
    if lost := set(old.get("required", ())) - set(new.get("required", ())):
        raise BreakingChange(f"{type_}: {', '.join(sorted(lost))} may now be missing; declare a new version")


def _shape(schema: Schema, root: Schema) -> Any:
    """What a reader relies on: the types, without titles, descriptions and defaults, references resolved."""
    if "$ref" in schema:
        return _shape(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    told = ("title", "description", "default")
    return {
        key: [_shape(item, root) if isinstance(item, dict) else item for item in value]
        if isinstance(value, list)
        else value
        for key, value in schema.items()
        if key not in told
    }
