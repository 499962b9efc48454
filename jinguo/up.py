"""`jinguo up`: the whole platform on one machine, in one process, with a MongoDB of its own."""

from collections.abc import Iterator
from contextlib import ExitStack

from fastapi.routing import APIRoute
from rich.console import Console
from starlette.applications import Starlette

from jinguo import me
from jinguo.connection import URI_FILE
from jinguo.issuer import LocalIssuer
from jinguo.services import SERVICES
from shared.host import Host, serve
from shared.local.child import is_free
from shared.local.mongod import Mongod
from shared.local.people import PATH
from shared.settings import Settings
from shared.telemetry import configure_logging

BOARD_PAGE = "/page"


class CannotStart(Exception):
    """Why, in one sentence."""


def up(found: Settings) -> None:
    """Run until Ctrl-C. Raises CannotStart or MongodError with one clear sentence."""
    if not is_free(found.port):
        port = found.port
        raise CannotStart(f"端口 {port} 已被占用；可设置 JINGUO_PORT / Port {port} is taken; set JINGUO_PORT")
    configure_logging(found.log_level)
    with ExitStack() as stack:
        if found.mongodb_uri is None:
            found = found.model_copy(update={"mongodb_uri": _own_mongod(found, stack)})
        _say(found)
        serve(application(found), found)


def application(found: Settings) -> Starlette:
    """All services in one; without an issuer in the settings, one of our own and the page of messages sent.

    Raises CannotStart in production without an issuer.
    """
    if found.oidc_issuer:
        return _with_me(found)
    if found.production:
        raise CannotStart(
            "生产环境须设置 JINGUO_OIDC_ISSUER / In production JINGUO_OIDC_ISSUER must name an issuer"
        )
    issuer = LocalIssuer(found.public_url + PATH, found.data_dir / "issuer.pem", found.oidc_audience)
    trying = {"oidc_issuer": issuer.url, "show_outgoing_messages": True}
    app = _with_me(found.model_copy(update=trying))
    app.mount(PATH, issuer.app())
    return app


def _with_me(found: Settings) -> Starlette:
    app = Host(SERVICES, found, alone=True).app()
    app.routes.extend(me.Me(f"http://{found.host}:{found.port}", found.command_timeout * 2).routes())
    return app


def _own_mongod(found: Settings, stack: ExitStack) -> str:
    found.data_dir.mkdir(parents=True, exist_ok=True)
    mongod = Mongod.start(found.data_dir / "mongodb")
    stack.callback(mongod.stop)
    file = found.data_dir / URI_FILE
    file.write_text(mongod.uri)
    stack.callback(file.unlink, missing_ok=True)
    return mongod.uri


def _boards() -> Iterator[str]:
    """The pages of all boards."""
    for service in SERVICES:
        for route in (route for router in service.routes for route in router.routes):
            if isinstance(route, APIRoute) and route.path.endswith(BOARD_PAGE):
                yield f"/{service.name}{route.path}"


def _say(found: Settings) -> None:
    url = found.public_url
    console = Console()
    console.print(f"[bold]巾帼 Jinguo[/bold]  {url}")
    places = [
        *(("看板 dashboard", path) for path in _boards()),
        ("已发短信 messages sent", "/notifier/outgoing"),
        *((f"{service.title} API", f"/{service.name}/docs") for service in SERVICES),
        ("健康 health", "/health/ready"),
        ("指标 metrics", "/metrics"),
    ]
    for title, path in places:
        console.print(f"  {title:<24} {url}{path}", highlight=False)
    where = str(found.mongodb_uri).rpartition("@")[2]  # without a password
    console.print(f"  MongoDB                  {where}", highlight=False)
    console.print("  Ctrl-C 停止 / stops everything", highlight=False)
