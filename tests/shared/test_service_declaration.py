"""What is missing in a service, or there twice, keeps it from being built."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

import pytest

from jinguo.services import SERVICES
from shared.consumers.declare import Consumer
from shared.http.access import anyone
from shared.http.allowances import Asking
from shared.http.change import Change
from shared.http.lists import listed
from shared.http.routes import Router
from shared.model.documents import Day, Document, Index
from shared.model.problems import NotFound, Problem, TooEarly
from shared.model.tallies import COUNTY, DAY, Tally
from shared.service import Service, together
from shared.store.deadlines import Closing, Deadline
from shared.store.store import Store
from shared.store.tallies import Counts, Projection
from tests.shared.toy_hosts import Hosts

Anyone = Annotated[Asking, anyone("a test")]


class Harvest(Document):
    """What a garden gave on a day."""

    collection: ClassVar[str] = "harvests"
    tallies: ClassVar[Sequence[Tally]] = (
        Tally({"harvests": 1, "grams": "grams"}, by={COUNTY: "division", DAY: "day"}),
    )

    division: str
    day: Day
    grams: int
    closes_at: datetime | None = None

    def close(self, at: datetime) -> None:
        self.closes_at = None


def orchard(**declared: Any) -> Service:
    return Service("orchard", "一米菜园", **declared)


# ── problems ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_problem_type_is_declared_once_whatever_it_says() -> None:
    with pytest.raises(TypeError, match=r"too-early is declared twice: shared\.model\.problems\.TooEarly"):

        class Sooner(Problem):
            status, type, title, title_en = TooEarly.status, "too-early", TooEarly.title, TooEarly.title_en


@pytest.mark.parametrize("base", [Problem, NotFound])
def test_a_problem_without_a_type_of_its_own_is_none(base: type[Problem]) -> None:
    with pytest.raises(TypeError, match="is declared twice"):

        class Unsaid(base):  # type: ignore[valid-type,misc]
            title = "未说明"


# ── routes ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_route_without_a_rule_is_refused() -> None:
    router = Router()

    @router.post("/harvests")
    async def bring() -> None: ...

    with pytest.raises(TypeError, match="POST /harvests does not say who may call it"):
        orchard(routers=[router])


def test_two_routes_that_one_request_finds_are_refused() -> None:
    one, other = Router(), Router(prefix="/harvests")

    @one.get("/harvests/{harvest_id}")
    async def show(harvest_id: str, _: Anyone) -> None: ...

    @other.get("/{number}")
    async def count(number: str, _: Anyone) -> None: ...

    @other.put("/{number}")
    async def change(number: str, _: Anyone) -> None: ...

    orchard(routers=[other])
    with pytest.raises(TypeError, match=r"a route is declared twice: GET /harvests/{}"):
        orchard(routers=[one, other])


# ── documents ────────────────────────────────────────────────────────────────────────────────────────


def test_two_documents_with_one_collection_are_refused() -> None:
    class Basket(Document):
        collection: ClassVar[str] = "harvests"

    with pytest.raises(TypeError, match="a collection is declared twice: harvests"):
        orchard(documents=[Harvest, Basket])


@pytest.mark.parametrize("name", ["plots", "pending", "due_closes_at"])
def test_two_indexes_with_one_name_are_refused_those_of_store_and_deadlines_included(name: str) -> None:
    class Basket(Harvest):
        collection: ClassVar[str] = "baskets"
        indexes: ClassVar[Sequence[Index]] = (Index("plots", [("day", 1)]), Index(name, [("grams", 1)]))

    closing = Deadline(Basket, "closes_at", Basket.close)
    with pytest.raises(TypeError, match=f"an index of Basket is declared twice: {name}"):
        orchard(documents=[Basket], deadlines=[closing])


def test_a_column_that_two_tallies_add_to_is_refused() -> None:
    class Basket(Harvest):
        collection: ClassVar[str] = "baskets"

    with pytest.raises(TypeError, match="a tally by county, day is declared twice: grams, harvests"):
        orchard(documents=[Harvest, Basket])


def test_a_tally_of_a_field_that_is_none_is_no_document() -> None:
    with pytest.raises(TypeError, match="Basket: tallied, and no field: kilograms"):

        class Basket(Document):
            collection: ClassVar[str] = "baskets"
            tallies: ClassVar[Sequence[Tally]] = (Tally({"kilograms": "kilograms"}, by={"id": "id"}),)


# ── consumers and deadlines ──────────────────────────────────────────────────────────────────────────


def test_a_consumer_group_is_there_once_and_under_the_services_name() -> None:
    with pytest.raises(TypeError, match=r"a consumer group is declared twice: orchard\.wall"):
        orchard(consumers=[Consumer("orchard.wall"), Consumer("orchard.wall")])
    with pytest.raises(TypeError, match=r"a consumer group of orchard begins with its name: ledger\.wall"):
        orchard(consumers=[Consumer("ledger.wall")])


@pytest.mark.parametrize(
    "deadline",
    [
        Deadline(Harvest, "ends_at", Harvest.close),
        Closing(Harvest, "season_id", "open", Harvest.close, Harvest, "closes_at", Harvest.close),
        Closing(Harvest, "division", "open", Harvest.close, Harvest, "ends_at", Harvest.close),
    ],
)
def test_a_deadline_looks_at_fields_that_are_there(deadline: Any) -> None:
    with pytest.raises(TypeError, match=r"a deadline looks at Harvest\.(ends_at|season_id), which is no"):
        orchard(documents=[Harvest], deadlines=[deadline])


# ── resources ────────────────────────────────────────────────────────────────────────────────────────


class Shelf:
    """Something that a process has one of."""

    def __init__(self, store: Store) -> None:
        self.store = store


def test_a_process_has_one_of_each_resource_that_is_declared(plain_hosts: Hosts) -> None:
    declared = Service("ledger", "账本", resources=[Shelf])
    one, other = (plain_hosts.make(declared).stores["ledger"] for _ in range(2))
    assert one.resource(Shelf) is one.resource(Shelf)
    assert one.resource(Shelf).store is one
    assert one.resource(Shelf) is not other.resource(Shelf)
    with pytest.raises(KeyError):
        one.resource(Store)


# ── together ─────────────────────────────────────────────────────────────────────────────────────────


async def nothing(_: Store) -> Counts:
    return {}


def board(*columns: str) -> Service:
    projection = Projection("orchard", "orchard", (COUNTY, DAY), columns, nothing)
    return Service("boards", "看板", projections=[projection])


def test_what_is_tallied_and_what_is_shown_are_the_same_columns() -> None:
    counted = orchard(documents=[Harvest])
    assert together(counted, board("harvests", "grams"))
    with pytest.raises(TypeError, match=r"orchard by county, day: tallied and not shown: \['grams'\]"):
        together(counted, board("harvests"))
    with pytest.raises(TypeError, match=r"shown and not tallied: \['baskets'\]"):
        together(counted, board("harvests", "grams", "baskets"))
    with pytest.raises(TypeError, match="tallied and not shown"):
        together(counted)


def test_two_services_with_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="one name"):
        together(orchard(), orchard())


def test_the_services_of_today_are_declared_as_they_should_be() -> None:
    assert together(*SERVICES) == SERVICES


def test_a_route_is_an_async_function() -> None:
    router = Router()
    with pytest.raises(TypeError, match="/beds: a route is an async function"):

        @router.get("/beds")
        def beds() -> list[str]:
            return []


def test_anybody_changes_only_what_they_prove_to_be_theirs() -> None:
    router = Router()

    @router.post("/harvests/{harvest_id}")
    async def change_it(harvest_id: str, _: Annotated[None, anyone("a test")], change: Change) -> None: ...

    with pytest.raises(TypeError, match="anybody may change a document, and nothing proves whose it is"):
        orchard(routers=[router], documents=[Harvest])


def test_a_list_has_days_where_it_is_asked_by_them() -> None:
    for day in ("nope", "grams"):
        with pytest.raises(TypeError, match=f"Harvest.{day} is no day, and no instant"):
            listed(Harvest, day=day)


def test_an_index_is_not_both_there_and_of_former_times() -> None:
    class Basket(Document):
        collection: ClassVar[str] = "baskets"
        indexes: ClassVar[Sequence[Index]] = (Index("days", [("day", 1)]),)
        former_indexes: ClassVar[Sequence[str]] = ("days",)
        day: str

    with pytest.raises(TypeError, match="Basket has indexes that it no longer has: days"):
        orchard(documents=[Basket])
