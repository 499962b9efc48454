"""No text gets in unlooked at: every text of every request is of a type that says what it may be."""

from collections.abc import Iterator
from typing import Any

import httpx

from jinguo.services import SERVICES
from shared.http.identity import Role
from shared.model.text import MARK
from tests.kit.issuing import Issuing

BOUNDED = {"enum", "const", "pattern", MARK}
"""What says which texts there may be: a closed list, a pattern (ids, codes of divisions, keys), a rule."""
FORMATS = {"date", "date-time", "uri", "binary"}
Where = tuple[str, dict[str, Any]]


def texts(document: dict[str, Any], node: dict[str, Any], path: str) -> Iterator[Where]:
    """The strings and lists within a JSON Schema, with their paths."""
    if "$ref" in node:
        node = document["components"]["schemas"][node["$ref"].rpartition("/")[2]]
    said = {"enum": node["enum"]} if "enum" in node else {}  # beside the choice of a text and nothing
    for choice in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        yield from texts(document, choice | said, path)
    if node.get("type") in ("string", "array"):
        yield path, node
    if isinstance(node.get("additionalProperties"), dict):
        yield path, {"type": "array"}  # an object whose keys the caller makes up is a list to us
    yield from texts(document, node["items"], f"{path}[]") if "items" in node else ()
    for name, field in node.get("properties", {}).items():
        yield from texts(document, field, f"{path}.{name}")


def given(document: dict[str, Any]) -> Iterator[Where]:
    """What callers of a service may give, but for paths: what stands in those is looked up and never kept."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            told = f"{method.upper()} {path}"
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "path":
                    yield from texts(document, parameter["schema"], f"{told} {parameter['name']}")
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from texts(document, content["schema"], told)


def unlooked(found: Iterator[Where]) -> list[str]:
    return [path for path, node in found if not is_bounded(node)]


def is_bounded(node: dict[str, Any]) -> bool:
    if node["type"] == "array":
        return "maxItems" in node
    return bool(node.keys() & BOUNDED) or node.get("format") in FORMATS


async def test_every_text_of_every_request_is_of_a_type_that_says_what_it_may_be(
    http: httpx.AsyncClient,
) -> None:
    marked = 0
    for service in SERVICES:
        document = (await http.get(f"/{service.name}/openapi.json")).json()
        assert unlooked(given(document)) == []
        marked += sum(MARK in node for _, node in given(document))
    assert marked > 15


def test_a_free_text_and_an_endless_list_would_be_found() -> None:
    free = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 9}, "b": {"type": "array"}}}
    assert unlooked(texts({}, free, "body")) == ["body.a", "body.b"]


async def test_a_role_that_is_none_is_refused_and_no_bug(http: httpx.AsyncClient, issuer: Issuing) -> None:
    headers = issuer.bearer(Role.COORDINATOR, None) | {"Acting-Role": "!"}
    answer = await http.get("/referrals/slots", params={"department": "breast"}, headers=headers)
    assert answer.status_code == 403, answer.text
