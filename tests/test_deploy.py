"""The deployment's files say what the list of services says, and give each part the memory it may need."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from jinguo.deploy import FILES, outdated, parts, rewritten
from jinguo.services import SERVICES
from shared.http.pictures import limits, receiving

NAMES = [service.name for service in SERVICES]


def test_the_committed_files_are_current() -> None:
    assert outdated() == []


def test_every_part_has_its_one_place() -> None:
    texts = [path.read_text() for path in FILES]
    for name in parts(NAMES):
        assert sum(text.count(f"# jinguo deploy: {name}\n") for text in texts) == 1


def test_a_service_that_is_new_stands_in_every_part_and_nothing_else_changes() -> None:
    for path in FILES:
        before, after = path.read_text(), rewritten(path.read_text(), [*NAMES, "gardens"])
        added = set(after.splitlines()) - set(before.splitlines())
        assert added and all("gardens" in line for line in added)
        assert rewritten(after, NAMES) == before


def test_a_part_that_nothing_writes_is_refused() -> None:
    with pytest.raises(KeyError, match="typo"):
        rewritten("  # jinguo deploy: typo\n  # end\n", NAMES)


def test_outside_of_the_parts_no_service_is_named_but_in_an_example() -> None:
    for path in FILES:
        lines = rewritten(path.read_text(), ["none"]).splitlines()
        assert [line for line in lines if any(n in line for n in NAMES) and not line.startswith("#")] == []


UNITS = {"m": 1024**2, "g": 1024**3}


def memory(part: dict[str, Any]) -> int:
    """The bytes that a part of the compose file may take where nobody says anything else."""
    found = re.fullmatch(r"(?:\${\w+:-)?(\d+)([mg])}?", part["mem_limit"])
    assert found, part["mem_limit"]
    return int(found[1]) * UNITS[found[2]]


def test_every_part_has_a_bound_on_its_memory_and_a_service_has_room_for_its_pictures() -> None:
    parts = yaml.safe_load(Path("docker-compose.yml").read_text())["services"]
    bounds = {name: memory(part) for name, part in parts.items()}
    itself = 250 * UNITS["m"]
    pictures = receiving.HELD + receiving.AT_A_TIME * limits.MEMORY
    assert {name for name in NAMES if bounds[name] < itself + pictures} == set()
    assert bounds["mongo"] >= 2 * UNITS["g"]
