"""Handlers that are composed once answer as FastAPI's own do, whatever comes."""

from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, Query, Request, Response

from jinguo.services import SERVICES
from shared.http import routes
from shared.http.answers import install
from shared.http.composed import composed
from shared.http.parameters import IfMatch
from shared.http.routes import Body, Router
from shared.http.views import DocumentView, GivenDay

ANSWER_THEMSELVES = {
    *("/certificates/{token}", "/signings/{pledge_id}/certificate"),
    "/signings/{pledge_id}/check-ins/{day}/photo",
    "/referrals/{referral_id}/fhir",
    "/outgoing",
    *("/dashboards/pledges/stream", "/dashboards/pledges/page"),
    *("/dashboards/referrals/stream", "/dashboards/referrals/page"),
}
"""Routes whose answer is of another kind (a page, a picture, a stream, FHIR): left to FastAPI's handler."""


def test_all_routes_are_composed_but_those_with_a_kind_of_answer_of_their_own() -> None:
    every: list[Any] = [route for service in SERVICES for router in service.routes for route in router.routes]
    left = {route.path for route in every if composed(route) is None}
    assert left == ANSWER_THEMSELVES
    assert len(every) > 100


class Seed(Body):
    crop: str
    grams: int


class Bed(DocumentView):
    crop: str
    asked: dict[str, Any]


def made() -> Router:  # noqa: C901  # a list of routes
    """Routes of every kind of parameter that ours have. Made anew: a handler belongs to its router."""
    router = Router()
    times = list[str]()

    async def inner(request: Request, month: Annotated[int, Query(ge=1, le=12)] = 3) -> str:
        times.append(request.url.path)
        return f"month {month}, {len(times)}"

    async def outer(
        told: Annotated[str, Depends(inner)], who: Annotated[str, Header(pattern="^[a-z]+$")]
    ) -> str:
        return f"{who}: {told}"

    @router.post("/beds/{bed_id}/rows/{row}", status_code=201)
    async def sow(
        bed_id: str,
        row: int,
        seed: Seed,
        first: Annotated[str, Depends(outer)],
        second: Annotated[str, Depends(inner)],
        day: GivenDay | None = None,
        crops: Annotated[list[str], Query()] = [],  # noqa: B006  # FastAPI copies it
        if_match: IfMatch = None,
    ) -> Bed:
        asked = {"row": row, "first": first, "second": second, "day": day, "crops": crops, "if": if_match}
        return Bed(id=bed_id, version=row, crop=seed.crop, asked=asked)

    @router.get("/beds")
    async def beds(_: Annotated[str, Depends(inner)]) -> list[str]:
        return ["a", "b"]

    @router.delete("/beds/{bed_id}", status_code=204)
    async def clear(bed_id: str) -> None: ...

    @router.get("/nothing")
    async def nothing() -> None: ...

    @router.get("/teapot")
    async def teapot() -> Response:
        return Response("no", 418, headers={"ETag": '"own"'})

    @router.get("/wrong")
    async def wrong() -> Bed:
        return {"id": "x"}  # type: ignore[return-value]  # what is no Bed is found

    return router


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[httpx.AsyncClient]]:
    """The same routes with composed handlers, and with FastAPI's."""
    clients = []
    for compose in (composed, lambda _: None):
        monkeypatch.setattr(routes, "composed", compose)
        app = FastAPI()
        install(app)
        app.include_router(made())
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://garden"))
    yield clients


SOWN = {"crop": "青菜", "grams": 5}
WHO = {"who": "mei"}
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/beds/b1/rows/2", {"json": SOWN, "headers": WHO}),
    ("POST", "/beds/b1/rows/2?month=12&day=2020-04-01&crops=a&crops=b", {"json": SOWN, "headers": WHO}),
    ("POST", "/beds/b1/rows/2", {"json": SOWN, "headers": WHO | {"If-Match": '"7"'}}),
    ("POST", "/beds/b1/rows/2", {"json": SOWN, "headers": {b"who": b"mei", b"if-match": "ä".encode()}}),
    ("POST", "/beds/b1/rows/two", {"json": SOWN, "headers": WHO}),
    ("POST", "/beds/b1/rows/two?month=13&day=x", {"json": {"crop": 1}}),
    ("POST", "/beds/b1/rows/2?month=13", {"json": SOWN, "headers": WHO}),
    ("POST", "/beds/b1/rows/2", {"json": SOWN}),
    ("POST", "/beds/b1/rows/2", {"headers": WHO}),
    ("POST", "/beds/b1/rows/2", {"content": b"{", "headers": WHO | {"content-type": "application/json"}}),
    ("POST", "/beds/b1/rows/2", {"content": b"{}", "headers": WHO | {"content-type": "text/plain"}}),
    ("POST", "/beds/b1/rows/2", {"content": b'{"crop": "x", "grams": 1}', "headers": WHO}),
    (
        *("POST", "/beds/b1/rows/2"),
        {
            "content": b'{"crop": "x", "grams": 1}',
            "headers": WHO | {"content-type": "application/vnd.seed+json; charset=utf-8"},
        },
    ),
    (
        *("POST", "/beds/b1/rows/2"),
        {
            "content": b'{"crop": "x", "crop": "y", "grams": 1}',
            "headers": WHO | {"content-type": "application/json"},
        },
    ),
    ("POST", "/beds/b1/rows/2", {"json": SOWN | {"weather": "fine"}, "headers": WHO}),
    ("GET", "/beds", {}),
    ("GET", "/beds?month=0", {}),
    ("DELETE", "/beds/b1", {}),
    ("GET", "/nothing", {}),
    ("GET", "/teapot", {}),
    ("PUT", "/beds", {}),
]


@pytest.mark.parametrize(("method", "path", "given"), REQUESTS)
async def test_the_answer_is_fastapis(
    both: list[httpx.AsyncClient], method: str, path: str, given: dict[str, Any]
) -> None:
    ours, theirs = [await client.request(method, path, **given) for client in both]
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    assert dict(ours.headers) == dict(theirs.headers)


async def test_a_dependency_that_two_ask_for_is_called_once(both: list[httpx.AsyncClient]) -> None:
    for client in both:
        answer = await client.post("/beds/b1/rows/2", json=SOWN, headers=WHO)
        asked = answer.json()["asked"]
        assert (asked["first"], asked["second"]) == ("mei: month 3, 1", "month 3, 1")
        assert answer.headers["etag"] == '"2"'


async def test_an_answer_that_the_route_does_not_declare_is_an_error(both: list[httpx.AsyncClient]) -> None:
    assert [(await client.get("/wrong")).status_code for client in both] == [500, 500]
