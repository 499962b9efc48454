"""Tallies are recounted from documents: in the database, or by a function where columns depend on them."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, ClassVar

import pytest

from shared.city.divisions import CITY
from shared.model.documents import Day, Document, Most
from shared.model.tallies import COUNTY, DAY, Tally
from shared.service import Service
from shared.store.store import Store
from shared.store.tallies import counted, recount
from tests.shared.toy_hosts import Hosts

KECHENG, COMMUNITY = "330802", "330802005001"
FIRST, SECOND = date(2020, 3, 7), date(2020, 3, 8)


def by_kind(garden: Any) -> Counter[str]:
    return Counter({f"of_{garden.kind}": 1, "grams": garden.grams})


class Garden(Document):
    """Counted on each day that something was harvested."""

    collection: ClassVar[str] = "gardens"
    tallies: ClassVar[Sequence[Tally]] = (
        Tally({"gardens": 1, "grams": "grams"}, {COUNTY: "division", "kind": "kind"}),
        Tally({"heavy": 1}, {COUNTY: "division", "kind": "kind"}, {"grams": {"$gt": 500}}),
        Tally({"harvests": 1}, {COUNTY: "division", DAY: "days"}),
        Tally(by_kind, {COUNTY: "division"}, every=("of_roof", "of_yard", "grams")),
    )

    division: str | None
    kind: str
    grams: int
    days: Annotated[list[Day], Most(5)]


@pytest.fixture
async def store(plain_hosts: Hosts) -> Store:
    store = (await plain_hosts.prepare(Service("ledger", "账本", documents=[Garden]))).stores["ledger"]
    for division, kind, grams, days in (
        (COMMUNITY, "roof", 300, [FIRST]),
        (KECHENG, "roof", 700, [FIRST, SECOND]),
        (KECHENG, "yard", 0, []),
        (None, "yard", 50, [SECOND]),
    ):
        await store.commit(Garden(division=division, kind=kind, grams=grams, days=days))
    return store


async def test_documents_are_summed_by_their_groups(store: Store) -> None:
    assert await recount(store, [Garden], (COUNTY, "kind")) == {
        f"{KECHENG}:roof": {"gardens": 2, "grams": 1000, "heavy": 1},
        f"{KECHENG}:yard": {"gardens": 1},
        f"{CITY}:yard": {"gardens": 1, "grams": 50},
    }


async def test_a_list_counts_once_for_each_entry(store: Store) -> None:
    assert await recount(store, [Garden], (COUNTY, DAY)) == {
        f"{KECHENG}:{FIRST}": {"harvests": 2},
        f"{KECHENG}:{SECOND}": {"harvests": 1},
        f"{CITY}:{SECOND}": {"harvests": 1},
    }


async def test_a_function_says_what_each_document_adds(store: Store) -> None:
    assert await recount(store, [Garden], (COUNTY,)) == {
        KECHENG: {"of_roof": 2, "of_yard": 1, "grams": 1000},
        CITY: {"of_yard": 1, "grams": 50},
    }


async def test_what_documents_say_of_themselves_is_read_by_their_id(store: Store) -> None:
    own = await counted(store, [(Garden, Tally({"grams": "grams"}, {"garden": "id"}))])
    assert sorted(columns.get("grams", 0) for columns in own.values()) == [0, 50, 300, 700]
