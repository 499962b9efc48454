"""Browser headers on every answer of every route, and pages that hold no script or style: found from the
routes, so that a new service is asked without anybody remembering.
"""

import re
import time
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi.responses import HTMLResponse
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from jinguo import issuer, me
from jinguo.services import SERVICES
from shared.host import Host
from shared.http.edge import DATA_POLICY, PAGE_POLICY
from shared.http.pages import ASSETS, KEPT
from tests.kit.running import COMMUNITY, a_campaign, a_form, bearer, flow_settings, serving

PATIENCE = 30
"""Seconds until a code that was sent is shown."""


class Asked(NamedTuple):
    """A route of the running platform."""

    method: str
    path: str
    is_page: bool
    is_stream: bool


def routes_of(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[Asked]:
    """Every route below, services and whatever else is mounted included."""
    for route in iter_route_contexts(routes):
        if isinstance(route.route, Mount):
            yield from routes_of(getattr(route.route.app, "routes", ()), prefix + route.route.path)
            continue
        path = prefix + (route.path or "")
        kind = getattr(getattr(route, "response_class", None), "__name__", "")
        is_page = kind == HTMLResponse.__name__ or path.endswith("/docs")
        for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
            yield Asked(method, path, is_page, is_stream="EventSource" in kind)


class Platform(NamedTuple):
    """All services behind a port, with a household that is counted."""

    http: httpx.Client
    routes: list[Asked]
    known: dict[str, str]
    officer: dict[str, str]

    def filled(self, path: str) -> str:
        """The path with parameters that exist where we made them, else as far as types go."""
        return re.sub(r"{(\w+)(?::\w+)?}", lambda name: self.known.get(name[1], "x"), path)


@pytest.fixture(scope="module")
def platform(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder: Path = tmp_path_factory.mktemp("headers")
    settings = flow_settings(mongodb_uri, folder, command_timeout=10)
    host = Host(SERVICES, settings, alone=True)
    asks = me.Me("http://town", 1).routes()
    local = issuer.LocalIssuer("http://town", folder / "issuer.pem", "jinguo").app()
    routes = list(routes_of([*host.app().routes, *asks, Mount(issuer.PATH, local)]))
    host.client.close()
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as http:
        officer = bearer(url)
        yield Platform(http, routes, a_counted_household(http, officer), officer)


def a_counted_household(http: httpx.Client, officer: dict[str, str]) -> dict[str, str]:
    """The parameters that lead to it."""

    headers = officer | {"Signing-Key": "kept-by-the-household-that-signs"}

    def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
        return dict(http.post(f"/pledges{path}", json=body, headers=headers).raise_for_status().json())

    campaign = made("/campaigns", a_campaign())["id"]
    pledge = made(f"/campaigns/{campaign}/pledges", a_form(1))["id"]
    until = time.monotonic() + PATIENCE
    while not (sent := http.get("/notifier/outgoing.json", params={"pledge_id": pledge}).json()):
        assert time.monotonic() < until
    counted = made(f"/signings/{pledge}/verify", {"code": sent[0]["code"]})
    token = counted["certificate"].rpartition("/")[2]
    known = {"campaign_id": campaign, "pledge_id": pledge, "token": token}
    return known | {"community": COMMUNITY, "division": "330802", "day": "2020-03-08", "department": "breast"}


def check_headers(answer: httpx.Response, told: str) -> None:
    """What holds for every answer, each header once."""
    page = answer.headers.get("content-type", "").startswith("text/html")
    kept = KEPT if answer.is_success and ASSETS in answer.url.path else "no-store"
    expected = {
        "content-security-policy": PAGE_POLICY if page else DATA_POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": kept,
    }
    for name, value in expected.items():
        assert answer.headers.get_list(name) == [value], f"{told}: {name}"
    assert len(answer.headers.get_list("traceparent")) == 1, told


def test_no_policy_lets_run_what_stands_in_a_page() -> None:
    for policy in (PAGE_POLICY, DATA_POLICY):
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy and "*" not in policy


def test_every_answer_of_every_route_carries_the_headers(platform: Platform) -> None:
    assert len(platform.routes) > 90
    for method, path, _, is_stream in platform.routes:
        for caller in ({}, platform.officer):
            told = f"{method} {path} {'with' if caller else 'without'} a token"
            with platform.http.stream(method, platform.filled(path), headers=caller) as answer:
                if not is_stream:
                    answer.read()
                check_headers(answer, told)


def test_head_is_answered_on_every_route_that_get_serves(platform: Platform) -> None:
    """With the same headers, and nothing behind them; of streams too, which end at once."""
    served = [asked for asked in platform.routes if asked.method == "GET"]
    assert {True, False} == {asked.is_stream for asked in served}
    for _, path, _, is_stream in served:
        url = platform.filled(path)
        asked = platform.http.head(url, headers=platform.officer)
        with platform.http.stream("GET", url, headers=platform.officer) as got:
            if not is_stream:
                got.read()
        assert (asked.status_code, asked.content) == (got.status_code, b""), path
        names = [set(answer.headers) - {"transfer-encoding"} for answer in (asked, got)]
        assert names[0] == names[1], path
        for name in ("content-type", "etag", "cache-control", "allow"):
            assert asked.headers.get(name) == got.headers.get(name), f"{path}: {name}"


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.inline += [f"<{tag} {name}>" for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in given and "json" not in given.get("type", "")):
            self.inline.append(f"<{tag}>")
        if tag == "script" and "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") == "stylesheet":
            self.loaded.append(given["href"])
        values = [*(given.get(name, "") for name in ("href", "src", "action"))]
        self.inline += [
            f"<{tag} {value}>" for value in values if value.strip().lower().startswith("javascript")
        ]


def test_every_page_is_made_of_files_of_our_own(platform: Platform) -> None:
    pages = [asked.path for asked in platform.routes if asked.is_page]
    assert len(pages) == len(SERVICES) + 5, pages
    for path in pages:
        answer = platform.http.get(platform.filled(path), headers=platform.officer)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith("text/html"), path
        page = Page(answer.text)
        assert page.inline == [], path
        assert page.loaded, path
        for file in page.loaded:
            service = path.split("/")[1]
            assert re.fullmatch(rf"/{service}{ASSETS}/[\w.-]+\.[0-9a-f]{{16}}\.(css|js)", file), path
            loaded = platform.http.get(file)
            assert loaded.status_code == 200, file
            kind = "text/css" if file.endswith("css") else "text/javascript"
            assert loaded.headers["content-type"].startswith(kind)
            check_headers(loaded, file)


def test_nobody_keeps_a_file_under_a_name_that_it_does_not_have(platform: Platform) -> None:
    for name in ("docs.js", "docs.0000000000000000.js", "__init__.py", "..%2f__init__.py", "docs.html"):
        answer = platform.http.get(f"/pledges{ASSETS}/{name}")
        assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store"), name


def test_the_gateways_own_answers_carry_the_same_headers_and_those_of_services_stay() -> None:
    """In Caddy's words `?` sets what an answer does not have yet."""
    gateway = Path("deploy/Caddyfile").read_text()
    for name, value in {
        "Content-Security-Policy": DATA_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }.items():
        assert re.findall(rf'(\S?){name} "?{re.escape(value)}"?\n', gateway) == ["?"], name
    assert gateway.count("import headers") == 2  # of what it passes on or says itself, and of its errors
