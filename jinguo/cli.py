"""`jinguo`: the one command-line tool."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import typer
from rich.console import Console
from rich.table import Table

from shared.local.mongod import MongodError
from shared.model.plurals import plural
from shared.model.roles import Role
from shared.settings import settings

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="巾帼 Jinguo: run and look after the platform.",
)
parked = typer.Typer(no_args_is_help=True, help="Events that could not be handled.")
app.add_typer(parked, name="parked")
keys = typer.Typer(no_args_is_help=True, help="The master key that wraps every person's data key.")
app.add_typer(keys, name="keys")
erasures = typer.Typer(no_args_is_help=True, help="Persons who were erased.")
app.add_typer(erasures, name="erasures")
console = Console()
Group = Annotated[str, typer.Option("--group", help="The consumer group, e.g. notifier.messages")]


def _fail(message: object) -> "typer.Exit":
    print(f"jinguo: {message}", file=sys.stderr)
    return typer.Exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run an operator's command; what is wrong is one sentence, not a traceback."""
    from jinguo.connection import NotRunning
    from jinguo.operations import NotReplayable
    from shared.mongo.driver import PyMongoError

    try:
        return asyncio.run(work)
    except (NotRunning, NotReplayable, LookupError) as error:
        raise _fail(error) from None
    except PyMongoError:
        raise _fail("MongoDB 无法连接 / MongoDB cannot be reached; is the platform up?") from None
    except (httpx.TransportError, ConnectionError, TimeoutError):
        raise _fail("平台无法连接 / The platform cannot be reached; is it up?") from None


@app.command()
def up() -> None:
    """Run everything on this machine: a MongoDB of our own, the embedded log, all services on one port."""
    from jinguo.up import CannotStart
    from jinguo.up import up as run

    try:
        run(settings())
    except (CannotStart, MongodError) as error:
        raise _fail(error) from None


@app.command()
def serve(
    names: Annotated[
        list[str] | None, typer.Argument(help="Services to run in this process; none: all")
    ] = None,
) -> None:
    """Run some services in this process, on the MongoDB and Kafka that the environment names."""
    from jinguo.services import SERVICES, named
    from shared.host import Host
    from shared.host import serve as run
    from shared.http.identity import ProductionRefused
    from shared.telemetry import configure_logging

    found = settings()
    if found.mongodb_uri is None:
        raise _fail("MONGODB_URI is not set")
    configure_logging(found.log_level)
    try:
        services = named(*names) if names else list(SERVICES)
    except KeyError as error:
        raise _fail(f"there is no service {error}") from None
    try:
        app = Host(services, found).app()
    except ProductionRefused as error:
        raise _fail(error) from None
    run(app, found)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def demo(
    sizes: typer.Context,
    url: Annotated[str | None, typer.Option(help="Where the platform answers")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes up the same people")] = 2020,
) -> None:
    """People of the city use every service; then the dashboards are held against what they did.

    How many of them is an option of each service's part, as in `--households 100`; 0 leaves a part out.
    """
    from jinguo.demo import run, sizes_of

    if not _run(run(url or settings().public_url, sizes_of(sizes.args), seed, console)):
        raise typer.Exit(1)


@app.command()
def token(
    role: Annotated[Role, typer.Option(help="What the made-up person is")],
    org: Annotated[str | None, typer.Option(help="The org unit they act for: 柯城")] = None,
    division: Annotated[str | None, typer.Option(help="The division they answer for")] = None,
    department: Annotated[str | None, typer.Option(help="The hospital department")] = None,
    phone: Annotated[str | None, typer.Option(help="A resident's verified phone")] = None,
    subject: Annotated[str | None, typer.Option(help="Who they are, where that matters")] = None,
    signed_in: Annotated[int, typer.Option(help="So many seconds ago they signed in", min=0)] = 0,
    url: Annotated[str | None, typer.Option(help="Where the platform answers")] = None,
) -> None:
    """The token of a made-up person from the local issuer, for trying things out."""
    from pydantic import ValidationError

    from jinguo.issuer import fetch
    from shared.local.people import NoToken, Person

    scopes = {"org": org, "division": division, "department": department, "phone": phone, "subject": subject}
    try:
        print(_run(fetch(url or settings().public_url, Person(role=role, signed_in=signed_in, **scopes))))
    except (NoToken, LookupError) as error:
        raise _fail(error) from None
    except ValidationError as error:
        raise _fail(error.errors()[0]["msg"]) from None


@app.command()
def access(
    check: Annotated[bool, typer.Option("--check", help="Fail when it is not current")] = False,
) -> None:
    """Write docs/access.md: which role may call which route."""
    from jinguo.access import PATH, is_current, write

    if not check:
        write()
    elif not is_current():
        raise _fail(f"{PATH} is not current, run `jinguo access`")


@app.command()
def deploy(
    check: Annotated[bool, typer.Option("--check", help="Fail when they are not current")] = False,
) -> None:
    """Write what stands once for every service into docker-compose.yml and the gateway's Caddyfile."""
    from jinguo.deploy import outdated, write

    if not check:
        write()
    elif found := outdated():
        raise _fail(f"{', '.join(map(str, found))}: not current, run `jinguo deploy`")


@app.command()
def issuer() -> None:
    """Run the local issuer of made-up people alone; refused in production."""
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    from jinguo.issuer import LocalIssuer
    from shared.host import serve as run
    from shared.http.edge import front
    from shared.local.people import PATH

    found = settings()
    if found.production or not found.oidc_issuer:
        raise _fail("生产环境不可用，且须设置 JINGUO_OIDC_ISSUER / not in production; set JINGUO_OIDC_ISSUER")
    local = LocalIssuer(found.oidc_issuer, found.data_dir / "issuer.pem", found.oidc_audience)
    ready = Route("/health/ready", lambda _: Response(status_code=204))
    run(front([ready, Mount(PATH, local.app())]), found)


@app.command(name="me")
def serve_me(
    gateway: Annotated[str, typer.Option(help="Where the services are reached")] = "http://gateway:8000",
) -> None:
    """Run what is asked of all services: the start page and `/me` (what is held of a caller; erase it)."""
    from starlette.responses import Response
    from starlette.routing import Route

    from jinguo.me import Me
    from jinguo.services import SERVICES
    from shared.host import serve as run
    from shared.host import start_page
    from shared.http.edge import front

    found = settings()
    ready = Route("/health/ready", lambda _: Response(status_code=204))
    asked = Me(gateway, found.command_timeout * 2).routes()
    run(front([start_page(SERVICES), ready, *asked]), found)


@app.command(name="secrets")
def hand_out_secrets(
    made: Annotated[Path, typer.Argument(help="Where they are kept")],
    parts: Annotated[Path, typer.Argument(help="A folder for each part")],
) -> None:
    """Make certificates and passwords once, and give each part of a compose platform its own."""
    from jinguo.secrets import hand_out

    hand_out(made, parts)


@app.command(name="database-users")
def database_users(
    passwords: Annotated[Path, typer.Argument(help="JSON: user -> password")],
) -> None:
    """Make a MongoDB user for each service and the operator, as an administrator."""

    async def work() -> None:
        from jinguo.database_users import create_users
        from shared.mongo.driver import connect

        found = settings()
        assert found.mongodb_uri
        client = connect(found.mongodb_uri)
        try:
            await create_users(client, found.database_prefix, json.loads(passwords.read_text()))
        finally:
            client.close()

    _run(work())


@keys.command("rotate")
def keys_rotate() -> None:
    """Make a new master key and wrap every data key with it, while everything runs."""

    async def work() -> None:
        from jinguo.connection import platform
        from jinguo.keys import rotate

        async with platform() as p:
            wrapped = plural(await rotate(p), "key is", "keys are")
            console.print(f"{wrapped} wrapped by the new master key; keep the file safe")

    _run(work())


@erasures.command("list")
def erasures_list() -> None:
    """The ids of everybody who was erased, one a line: to be kept beside the backups."""

    async def work() -> None:
        from jinguo.connection import platform

        async with platform() as p:
            print(*await p.vault.erased(), sep="\n")

    _run(work())


@erasures.command("apply")
def erasures_apply(file: Annotated[Path, typer.Argument(help="What `erasures list` printed")]) -> None:
    """After a backup was restored: erase again everybody who was erased since."""

    async def work() -> None:
        from jinguo.connection import platform
        from jinguo.keys import apply_erasures

        async with platform() as p:
            deleted, marked = await apply_erasures(p, file.read_text().split())
            console.print(f"{plural(deleted, 'key')} deleted, {plural(marked, 'person')} marked again")

    _run(work())


@parked.command("list")
def parked_list(group: Annotated[str | None, typer.Option("--group")] = None) -> None:
    """Parked events, each key's head before what waits behind it."""

    async def work() -> None:
        from jinguo.connection import platform

        table = Table("id", "type", "key", "tries", "reason")
        async with platform() as p:
            for runtime in [p.runtime(group)] if group else p.runtimes.values():
                for row in await runtime.parking.list():
                    event = row["event"]
                    table.add_row(
                        row["_id"], event["type"], row["key"], str(row["attempts"]), row["reason"] or "waits"
                    )
        console.print(table)

    _run(work())


@parked.command("show")
def parked_show(parked_id: str) -> None:
    """One parked event, whole; personal fields stay sealed."""

    async def work() -> None:
        from jinguo.connection import platform

        async with platform() as p:
            row = await p.runtime(_group_of(parked_id)).parking.show(parked_id)
        if row is None:
            raise LookupError(f"nothing is parked under {parked_id}")
        console.print_json(json.dumps(row, default=str, ensure_ascii=False))

    _run(work())


@parked.command("retry")
def parked_retry(parked_id: str) -> None:
    """Let the running platform try a parked event again at once."""
    _act(parked_id, "retry")


@parked.command("skip")
def parked_skip(parked_id: str) -> None:
    """Give a parked event up; what waits behind it goes on."""
    _act(parked_id, "skip")


def _group_of(parked_id: str) -> str:
    return parked_id.split("/")[0].split("@")[0]


def _act(parked_id: str, action: str) -> None:
    async def work() -> None:
        from jinguo.connection import platform

        async with platform() as p:
            parking = p.runtime(_group_of(parked_id)).parking
            if not await getattr(parking, action)(parked_id):
                raise LookupError(f"nothing is parked under {parked_id}")
        console.print(f"{action}: {parked_id}")

    _run(work())


@app.command()
def replay(
    group: Group,
    start: Annotated[
        str, typer.Option("--from", help="A position, an ISO instant, or `beginning`")
    ] = "beginning",
) -> None:
    """Rebuild a group's tables from the archives beside the live ones, then swap."""

    async def work() -> None:
        from jinguo.connection import platform
        from jinguo.operations import replay as run

        handled = 0
        async with platform() as p:
            with console.status("replaying…") as status:
                async for handled in run(p, group, _start(start)):
                    status.update(f"replaying… {plural(handled, 'event')}")
        console.print(f"{group}: {plural(handled, 'event')} handled again, tables swapped")

    _run(work())


def _start(text: str) -> int | datetime:
    if text == "beginning":
        return 0
    if text.isdigit():
        return int(text)
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise typer.BadParameter("the instant needs a time zone, e.g. 2020-03-08T00:00:00+08:00")
    return instant


@app.command()
def refill(
    source: Annotated[str, typer.Argument(help="The service whose topic is to be filled again")],
) -> None:
    """Fill a service's Kafka topic from its archive (a wiped broker is noticed without this)."""

    async def work() -> None:
        from jinguo.connection import platform
        from jinguo.operations import refill as run

        async with platform() as p:
            if source not in p.archives:
                raise LookupError(f"no service {source}; there are: {', '.join(p.archives)}")
            console.print(f"{source}: the publisher will send {plural(await run(p, source), 'event')} again")

    _run(work())


@app.command()
def audit(
    wait: Annotated[float, typer.Option(help="Seconds to wait for events under way")] = 60,
) -> None:
    """Recompute every projection from the services' own collections; any drift is an error."""

    async def work() -> bool:
        from jinguo.connection import platform
        from jinguo.operations import audit as run
        from jinguo.operations import settled

        async with platform() as p:
            if not await settled(p, wait):
                raise LookupError("events are still under way; the counts cannot be compared yet")
            drift, compared = await run(p)
        for found in drift:
            where = f"{found.projection} {found.row} {found.column}"
            console.print(f"[red]{where}: shown {found.shown}, counted {found.counted}")
        console.print(f"{compared} counts compared, drift {len(drift)}")
        return not drift

    if not _run(work()):
        raise typer.Exit(1)


@app.command()
def events(
    folder: Annotated[Path, typer.Option(help="Where the documents go")] = Path("docs/events"),
    check: Annotated[
        bool, typer.Option(help="Write nothing; fail when the documents are not current")
    ] = False,
) -> None:
    """Generate the AsyncAPI 3 document and the JSON Schemas from the event models."""
    from jinguo.events import BreakingChange, generate, stale

    try:
        if not check:
            console.print(f"{plural(generate(folder), 'document')} in {folder}")
        elif found := stale(folder):
            raise _fail(f"not current, run `jinguo events`: {', '.join(found)}")
    except BreakingChange as error:
        raise _fail(error) from None


@app.command()
def trace(event_id: str) -> None:
    """One event's way: who caused it, who consumed it, when."""

    async def work() -> None:
        from jinguo.connection import platform
        from jinguo.operations import trace as run

        async with platform() as p:
            found = await run(p, event_id)
        if found is None:
            raise LookupError(f"no archive has an event {event_id}")
        event = found.event
        console.print(f"[bold]{event.type}[/bold]  {event.id}")
        console.print(f"  happened   {event.time.isoformat()}  in {event.source}, position {event.position}")
        console.print(f"  aggregate  {event.subject}, version {event.sequence}")
        console.print(f"  caused by  {event.cause or 'a request'}, trace {found.trace_id or 'unknown'}")
        for step in found.steps:
            console.print(f"  {step.group:<28} {step.state}  {step.at.isoformat() if step.at else ''}")
        for effect in found.effects:
            console.print(f"  led to     {effect.type}  {effect.id}")

    _run(work())
