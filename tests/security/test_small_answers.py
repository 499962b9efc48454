"""Answers larger, or slower, than questions: whatever is sent within 64 KiB, a few lines come back at once.

Tried on every route that reads JSON, and on every field of its body.
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx

from jinguo.access import routes
from shared.http.answers import MOST_ERRORS
from shared.http.identity import Role
from shared.http.middleware import MAX_BODY
from tests.kit.issuing import Issuing

MOST_BYTES, MOST_SECONDS = 8 * 1024, 0.050
JSON = {"Content-Type": "application/json", "Signing-Key": "chosen-by-whom-it-concerns-1"}
KNOWN = {"division": "330802", "community": "330802005001", "day": "2020-03-08", "department": "breast"}
ORGS = {Role.CITY_OFFICER: "city", Role.COUNTY_OFFICER: "柯城", Role.COMMUNITY_WORKER: "柯城"}


def filled(piece: str, between: str, most: int = MAX_BODY - 200) -> str:
    """As many of `piece` as fit; `#` in it is a number, so that each is another."""
    count = most // (len((piece + between).replace("#", "12345").encode()))
    return between.join(piece.replace("#", str(number)) for number in range(count))


def every_kind_of_body() -> Iterator[bytes]:
    """What has nothing to do with any route."""
    yield b"{" + filled('"k#":0', ",").encode() + b"}"
    yield b"{" + filled('"#' + "家" * 70 + '":0', ",").encode() + b"}"
    yield b"{" + filled('"#' + "😀" * 60 + '":{}', ",", 6_000).encode() + b"}"
    yield b"{" + filled('"#' + '\\"' * 80 + '":0', ",", 3_900).encode() + b"}"
    yield b"{" + filled('"#' + "\\u0007" * 80 + '":0', ",", 10_000).encode() + b"}"
    yield b"{" + filled('"same":0', ",").encode() + b"}"
    yield json.dumps({"k" * (MAX_BODY - 100): 1}).encode()
    yield b"[" * (MAX_BODY - 1)
    yield b'{"a":' * 10_000
    yield b"[" + filled("1", ",").encode() + b"]"
    yield b"[" + filled("{}", ",").encode() + b"]"
    yield b"1" * (MAX_BODY - 1)
    yield b'"' + b"\\u0000" * 10_000 + b'"'
    yield b"\xff" * (MAX_BODY - 1)
    yield b"{" + b" " * (MAX_BODY - 2)


def every_kind_of_value(field: dict[str, Any]) -> Iterator[str]:
    """What may be put into a field of a body, as JSON."""
    most = 2 * field.get("maxLength", 32)
    yield "{" + filled('"k#":0', ",") + "}"
    yield "[" + filled("1", ",") + "]"
    yield "1" * (MAX_BODY - 200)
    yield "-1e" + "9" * 1000
    yield json.dumps("a" + "\u0301\u0323" * ((most - 1) // 2), ensure_ascii=False)
    yield json.dumps("\ufdfa" * most, ensure_ascii=False)
    yield json.dumps("\u0301\u0323" * 15_000, ensure_ascii=False)
    yield json.dumps("·" * most, ensure_ascii=False)
    yield json.dumps(" ." * (most // 2))


def bodies(schema: dict[str, Any]) -> Iterator[bytes]:
    """The worst for a route, given the JSON Schema of its body."""
    yield from every_kind_of_body()
    for name, field in schema["properties"].items():
        yield b"{" + filled(f'"{name}":null', ",").encode() + b"}"
        for value in every_kind_of_value(field):
            yield f'{{"{name}":{value}}}'.encode()


async def reading_json(http: httpx.AsyncClient) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Service, method, path and schema of every route that takes a body."""
    found = []
    for service in ("pledges", "referrals", "notifier"):
        document = (await http.get(f"/{service}/openapi.json")).json()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                content = operation.get("requestBody", {}).get("content", {}).get("application/json")
                if content:
                    name = content["schema"]["$ref"].rpartition("/")[2]
                    found.append((service, method.upper(), path, document["components"]["schemas"][name]))
    return found


async def test_the_worst_body_gets_a_short_answer_at_once_on_every_route(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    rules = {(method, path): rule for method, path, rule in routes()}
    found = await reading_json(http)
    assert len(found) > 25
    for service, method, path, schema in found:
        role = next(iter(sorted(rules[method, f"/{service}{path}"].roles)), Role.RESIDENT)  # type: ignore
        headers = JSON | issuer.bearer(role, ORGS.get(role), department="breast", phone="13800000001")
        url = f"/{service}" + re.sub(r"{(\w+)}", lambda name: KNOWN.get(name[1], "x"), path)
        for body in bodies(schema):
            assert len(body) <= MAX_BODY
            told = f"{method} {path}: {body[:60]!r}"
            answer, spent = await sent(http, method, url, body, headers)
            assert answer.status_code in (422, 404), f"{told} {answer.status_code} {answer.text[:200]}"
            assert len(answer.content) < MOST_BYTES, f"{told} {len(answer.content)} bytes"
            assert len(answer.json().get("errors", [])) <= MOST_ERRORS
            assert spent < MOST_SECONDS, f"{told} {spent:.3f} s"


async def sent(
    http: httpx.AsyncClient, method: str, url: str, body: bytes, headers: dict[str, str]
) -> tuple[httpx.Response, float]:
    """The answer, and the seconds of this process: the least of three, where the first was not little."""
    spent = []
    for _ in range(3):
        before = time.process_time()
        answer = await http.request(method, url, content=body, headers=headers)
        spent.append(time.process_time() - before)
        if spent[-1] < MOST_SECONDS:
            break
    return answer, min(spent)


async def test_faults_that_are_not_told_are_counted(http: httpx.AsyncClient, issuer: Issuing) -> None:
    def body(count: int) -> bytes:
        return json.dumps({f"k{number}": 0 for number in range(count)}).encode()

    async def answer(count: int) -> dict[str, Any]:
        headers = JSON | issuer.bearer(Role.CITY_OFFICER)
        answer = await http.post("/pledges/campaigns", content=body(count), headers=headers)
        assert answer.status_code == 422
        told: dict[str, Any] = answer.json()
        return told

    few = await answer(10)
    assert (len(few["errors"]), few.get("more")) == (14, None)  # and the four fields that are missing
    many = await answer(100)
    assert (len(many["errors"]), many["more"]) == (20, 84)
    [error] = (await answer(5000))["errors"]
    assert (error["field"], error["kind"]) == ("body", "too_many_faults")
    assert "5004" in error["message"]
