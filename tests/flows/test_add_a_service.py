"""docs/add-a-service.md, done: built in a copy of this repository, started, its flow over HTTP, the audit."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.http.identity import Role
from tests.flows.up import Up
from tests.kit.running import bearer
from tests.kit.waiting import eventually

HERE = Path(__file__).parents[2]
PAGE = (HERE / "docs/add-a-service.md").read_text()
LIST = Path("jinguo/services.py")
BLOCK = re.compile(r"^`(?P<path>[\w/]+\.py)`\n\n```python\n(?P<code>.*?)^```$", re.M | re.S)
MOST_LINES = 120


def blocks() -> dict[Path, str]:
    """The page's own code, by the file it stands in."""
    return {Path(block["path"]): block["code"] for block in BLOCK.finditer(PAGE)}


def test_it_takes_few_lines_and_four_places() -> None:
    written = blocks()
    lines = [line for path, code in written.items() if path != LIST for line in code.splitlines()]
    assert sum(bool(line.strip()) for line in lines) <= MOST_LINES
    folder = Path("services/suggestions")
    places = {folder if folder in path.parents else path for path in written}
    assert places == {
        *(folder, LIST),
        *(Path("shared/contracts/suggestions.py"), Path("services/notifier/activities/suggestions.py")),
    }


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """This repository with the page's service in it."""
    root = tmp_path / "repository"
    for part in ("services", "shared", "jinguo"):
        shutil.copytree(HERE / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    for path, code in blocks().items():
        if path == LIST:
            listed = (root / path).read_text()
            code = re.sub(r"^NAMES = .*\n", code, listed, flags=re.M)
            assert code != listed
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(code)
    return root


@pytest.fixture
def up(built: Path, tmp_path: Path) -> Iterator[Up]:
    with Up(tmp_path, built).stopped_in_the_end() as found:
        yield found


async def test_a_tenth_service_is_built_from_the_page_lives_and_agrees_with_its_board(up: Up) -> None:
    up.start()
    await up.ready()
    async with httpx.AsyncClient(base_url=up.url, timeout=10) as http:
        her, office, another = (
            bearer(up.url, Role.RESIDENT, None),
            bearer(up.url, Role.COUNTY_OFFICER, "柯城"),
            bearer(up.url, Role.COUNTY_OFFICER, "江山"),
        )
        body = {"division": "330802", "text": "村里想办线上春耕课堂。"}
        assert (await http.post("/suggestions/suggestions", json=body)).status_code == 401
        made = await http.post("/suggestions/suggestions", json=body, headers=her)
        assert (made.status_code, made.headers["etag"], made.json()["queue"]) == (201, '"1"', "office")
        assert body["text"] not in made.text
        path = f"/suggestions/suggestions/{made.json()['id']}"

        [waiting] = (await http.get("/suggestions/work", headers=office)).json()["items"]
        assert (waiting["id"], waiting["legal"]) == (made.json()["id"], ["answer"])
        assert (await http.get("/suggestions/work", headers=another)).json()["items"] == []
        [read] = (await http.get("/suggestions/suggestions", headers=office)).json()["items"]
        assert read["text"] == body["text"]
        assert (await http.get("/suggestions/suggestions", headers=another)).json()["items"] == []

        assert (await http.post(f"{path}/answer", headers=her)).status_code == 403
        assert (await http.post(f"{path}/answer", headers=another)).status_code == 404
        stale = await http.post(f"{path}/answer", headers=office | {"If-Match": '"7"'})
        assert stale.status_code == 412
        answered = await http.post(f"{path}/answer", headers=office)
        assert (answered.status_code, answered.json()["state"]) == (200, "answered")
        again = await http.post(f"{path}/answer", headers=office)
        assert (again.status_code, again.json()["legal"]) == (409, [])

        async def told() -> list[str]:
            inboxes = (await http.get("/notifier/inboxes", headers=her)).json()
            pages = [(await http.get(f"/notifier/inbox/{inbox}", headers=her)).json() for inbox in inboxes]
            return [message["title"] for page in pages for message in page["items"]]

        async def counted() -> bool:
            return (await board(http))["made"] == 1

        async def nothing() -> bool:
            return await told() == []

        assert await eventually(told) == ["已答复"]
        await eventually(counted)
        assert "drift 0" in up.tool("audit").stdout

        [held] = (await http.get("/suggestions/me", headers=her)).json()
        assert held["records"]["suggestions"][0]["text"] == body["text"]
        assert (await http.post("/me/erase", headers=her)).status_code == 200
        assert (await http.get("/suggestions/me", headers=her)).json() == []
        [unread] = (await http.get("/suggestions/suggestions", headers=office)).json()["items"]
        assert unread["text"] is None
        await eventually(nothing)
        assert await counted()
        assert "drift 0" in up.tool("audit").stdout


async def board(http: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await http.get("/notifier/dashboards/suggestions")).json()["totals"])
