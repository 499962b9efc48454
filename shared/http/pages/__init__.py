"""Pages for people: jinja2 templates, and the scripts and styles that they name, as files of our own.

A page holds neither script nor style: the browser is told to run none of them (shared.http.edge).
"""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse
from starlette.routing import Route

from shared.model.problems import NoSuchRoute

ASSETS = "/assets"
KEPT = "public, max-age=31536000, immutable"
"""The name changes with what is in the file, so nobody has to ask for it twice."""
KINDS = (".css", ".js")
SWAGGER_UI = Path(str(files("fastapi_swagger") / "resources"))
"""Swagger UI as its makers release it, in a package of its own: nothing is loaded from elsewhere."""


class Pages:
    """The pages of `service`: the templates in `folder` (None: none of its own) and the files beside them."""

    def __init__(self, service: str, folder: Path | None = None, **filters: Callable[[Any], str]) -> None:
        folders = [Path(__file__).parent, SWAGGER_UI, *([folder] if folder else [])]
        self._base = f"/{service}{ASSETS}/"
        self._files = {file.name: file for place in folders for file in sorted(place.iterdir())}
        self._named = {name: _hashed(file) for name, file in self._files.items() if file.suffix in KINDS}
        self._served = {hashed: self._files[name] for name, hashed in self._named.items()}
        self._templates = Environment(
            loader=FileSystemLoader(folders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
        self._templates.globals["asset"] = self.asset
        self._templates.filters.update(filters)

    def asset(self, name: str) -> str:
        """The path under which a script or style is served. Raises KeyError for one that is not there."""
        return self._base + self._named[name]

    def render(self, template: str, **facts: Any) -> str:
        """A page with its facts filled in and escaped."""
        return self._templates.get_template(template).render(**facts)

    def routes(self, title: str) -> list[Route]:
        """The scripts and styles, and the documentation of the service's routes, for its application."""
        docs = self.render("docs.html", title=title)

        async def show_docs(_: Request) -> HTMLResponse:
            return HTMLResponse(docs)

        return [Route("/docs", show_docs), Route(f"{ASSETS}/{{name}}", self._serve)]

    async def _serve(self, request: Request) -> FileResponse:
        file = self._served.get(request.path_params["name"])
        if file is None:  # perhaps of a page of another release: loaded again, it names what there is
            raise NoSuchRoute
        return FileResponse(file, headers={"Cache-Control": KEPT})


def _hashed(file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return f"{file.stem}.{digest}{file.suffix}"
