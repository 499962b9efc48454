"""Events are made of documents: what comes along by itself, and what is found when the class is made."""

from datetime import date, datetime
from typing import ClassVar

import pytest

from services.pledges.app import service as pledges
from shared.declaration import check_events
from shared.model.documents import Day, Document, Publishes
from shared.model.events import Event
from shared.model.known import ByAccount
from shared.model.personal import Personal


class PlotSown(Event, name="test.plot-sown"):
    """A plot was sown."""

    plot_of_land_id: str
    village: str
    day: Day
    note: str = "none"


class PlotOfLand(Document):
    collection: ClassVar[str] = "plots"
    publishes: ClassVar[Publishes] = {PlotSown: ("day",)}
    division: str = "330802"
    crop: str = "青菜"

    @property
    def village(self) -> str:
        return f"village of {self.division}"


DAY = date(2020, 4, 1)


def test_like_named_fields_and_properties_come_along_and_the_id_under_the_name_of_its_class() -> None:
    plot = PlotOfLand(id="p1")
    event = PlotSown.of(plot, day=DAY)
    assert event == PlotSown(
        plot_of_land_id="p1", village="village of 330802", day=DAY, division="330802", note="none"
    )


def test_what_the_rule_knows_better_goes_before_what_the_document_has() -> None:
    assert PlotSown.of(PlotOfLand(), day=DAY, village="elsewhere").village == "elsewhere"


def test_a_class_that_lacks_what_its_event_needs_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="PlotSown of Garden: day, plot_of_land_id"):

        class Garden(Document):
            collection: ClassVar[str] = "gardens"
            publishes: ClassVar[Publishes] = {PlotSown: ()}
            village: str = ""


def test_a_class_that_gives_its_event_what_is_no_field_of_it_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="PlotSown of Field: weather"):

        class Field(Document):
            collection: ClassVar[str] = "fields"
            publishes: ClassVar[Publishes] = {PlotSown: ("plot_of_land_id", "day", "weather")}
            village: str = ""


def test_an_event_that_its_class_does_not_publish_is_not_recorded() -> None:
    class Shed(Document):
        collection: ClassVar[str] = "sheds"

    with pytest.raises(TypeError, match="Shed does not publish PlotSown"):
        Shed().record(PlotSown.of(PlotOfLand(), day=DAY))


def test_an_event_of_the_contract_that_no_document_publishes_is_found() -> None:
    check_events("pledges", pledges.documents)
    with pytest.raises(TypeError, match="no document of pledges publishes TalkMoved"):
        check_events("pledges", [model for model in pledges.documents if model.__name__ != "Talk"])


def test_what_is_personal_or_a_keyed_hash_does_not_come_along_in_clear() -> None:
    class Told(Event, name="test.told"):
        """Somebody was told."""

        letter_id: str
        text: str | None = None

    class Known(Event, name="test.known"):
        """Somebody is known."""

        letter_id: str
        account_key: str = ""

    for event, field in ((Told, "text"), (Known, "account_key")):
        with pytest.raises(TypeError, match=f"of Letter: {field} in clear"):

            class Letter(Document):
                collection: ClassVar[str] = "letters"
                person_field: ClassVar[str | None] = "author"
                known_by = (ByAccount("account_key"),)
                publishes: ClassVar[Publishes] = {event: ()}  # made at once
                author: str
                text: Personal[str] = None
                account_key: str = ""

                def forget(self, now: datetime) -> None: ...
