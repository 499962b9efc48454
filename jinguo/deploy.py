"""What the deployment says once for every service: written into its files from the list of services.

The files are ours to edit; only what stands between `# jinguo deploy: <part>` and `# end` is written.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from jinguo.services import SERVICES

FILES = (Path("docker-compose.yml"), Path("deploy/Caddyfile"))
_PART = re.compile(
    r"(?P<indent>[ \t]*)# jinguo deploy: (?P<name>\w+)\n(?P<lines>.*?)(?P<end>[ \t]*# end\n)", re.S
)


def parts(names: Sequence[str]) -> dict[str, list[str]]:
    """The lines of each part, by its name, for services of these names."""
    return {
        "awaited": [f"{name}: {{ condition: service_healthy }}" for name in names],
        "services": [line for name in names for line in _service(name)],
        "given": [f"- {name}-secrets:/parts/{name}" for name in names],
        "volumes": [f"{name}-secrets:" for name in names],
        "gateway": [f"@service path_regexp service ^/({'|'.join(names)})/"],
        "ready": [f"dynamic a {names[0]} 8000 {{", "\trefresh 1s", "}"],
    }


def _service(name: str) -> Sequence[str]:
    return (
        f"{name}:",
        "  <<: *service",
        f"  command: [serve, {name}]",
        f'  volumes: ["key:/var/lib/jinguo:ro", "{name}-secrets:/run/secrets:ro"]',
        "",
    )


def rewritten(text: str, names: Sequence[str]) -> str:
    """A file's text with its parts for services of these names. Raises KeyError for an unknown part."""
    known = parts(names)

    def filled(part: re.Match[str]) -> str:
        head, indent = f"{part['indent']}# jinguo deploy: {part['name']}\n", part["indent"]
        lines = (f"{indent}{line}\n" if line else "\n" for line in known[part["name"]])
        return head + "".join(lines) + part["end"]

    return _PART.sub(filled, text)


def _current() -> Iterator[tuple[Path, str]]:
    names = [service.name for service in SERVICES]
    for path in FILES:
        yield path, rewritten(path.read_text(), names)


def write() -> None:
    """Write the parts into their files."""
    for path, text in _current():
        path.write_text(text)


def outdated() -> list[Path]:
    """The files whose parts are not what the list of services says."""
    return [path for path, text in _current() if path.read_text() != text]
