from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.city import days
from shared.city.days import (
    NoCalendar,
    WorkingDayTable,
    add_working_days,
    day_bounds,
    is_working_day,
    local_day,
)

TABLE = TypeAdapter(WorkingDayTable).validate_python(
    {2099: {"holidays": ["2099-01-01"], "working_days": ["2099-01-03"]}}
)
NEW_YEAR, SATURDAY, SUNDAY = date(2099, 1, 1), date(2099, 1, 3), date(2099, 1, 4)
KNOWN_DAYS = st.dates(date(2010, 1, 1), date(2025, 12, 31))


@pytest.fixture(autouse=True)
def unread_configuration() -> Iterator[None]:
    days._configured.cache_clear()
    yield
    days._configured.cache_clear()


@pytest.mark.parametrize(
    ("start", "fifth"),
    [(date(2020, 4, 24), date(2020, 4, 29)), (date(2020, 4, 28), date(2020, 5, 7))],
)
def test_the_fifth_working_day_counts_the_first(start: date, fifth: date) -> None:
    assert add_working_days(start, 5) == fifth


def test_counting_starts_at_the_next_working_day() -> None:
    assert add_working_days(date(2020, 5, 1), 1) == date(2020, 5, 6)
    assert add_working_days(date(2020, 4, 26), 1) == date(2020, 4, 26)  # a Sunday worked in exchange


@pytest.mark.parametrize("n", [0, -1])
def test_there_is_no_zeroth_working_day(n: int) -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        add_working_days(date(2020, 4, 24), n)


@given(KNOWN_DAYS, st.integers(1, 30))
def test_the_nth_working_day_ends_a_span_of_n(start: date, n: int) -> None:
    end = add_working_days(start, n)
    span = [start + timedelta(days=i) for i in range((end - start).days + 1)]
    assert is_working_day(end)
    assert sum(map(is_working_day, span)) == n


def test_a_table_answers_for_years_the_package_does_not_know() -> None:
    assert [is_working_day(day, TABLE) for day in (NEW_YEAR, SATURDAY, SUNDAY)] == [False, True, False]
    assert add_working_days(NEW_YEAR, 3, TABLE) == date(2099, 1, 5)


def test_the_table_may_come_from_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINGUO_WORKING_DAYS", '{"2099": {"holidays": ["2099-01-01"]}}')
    assert not is_working_day(NEW_YEAR)
    assert is_working_day(date(2099, 1, 2))


@pytest.mark.parametrize("day", [date(2003, 12, 31), date(2098, 12, 31), date(2100, 1, 1)])
def test_a_year_without_a_calendar_is_refused(day: date) -> None:
    with pytest.raises(NoCalendar, match=f"no working-day calendar for {day.year}"):
        is_working_day(day, TABLE)


def test_a_count_that_leaves_the_calendar_is_refused() -> None:
    with pytest.raises(NoCalendar):
        add_working_days(date(2099, 12, 31), 2, TABLE)


def test_a_table_with_a_day_of_another_year_is_refused() -> None:
    with pytest.raises(ValidationError, match="another year"):
        TypeAdapter(WorkingDayTable).validate_python({2099: {"holidays": ["2098-01-01"]}})


def test_a_day_begins_at_16_oclock_utc() -> None:
    assert day_bounds(date(2020, 3, 8)) == (
        datetime(2020, 3, 7, 16, tzinfo=UTC),
        datetime(2020, 3, 8, 16, tzinfo=UTC),
    )


@given(st.datetimes(datetime(1992, 1, 1), datetime(2200, 1, 1)), st.integers(-12, 14))
def test_every_instant_lies_within_its_day_whatever_its_zone(wall: datetime, offset: int) -> None:
    instant = wall.replace(tzinfo=timezone(timedelta(hours=offset)))
    start, end = day_bounds(local_day(instant))
    assert start <= instant < end
    assert start.tzinfo is UTC


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        local_day(datetime(2020, 3, 8))


def test_an_instant_is_not_taken_for_a_day() -> None:
    instant = datetime(2020, 3, 7, 20, tzinfo=UTC)
    for ask in (day_bounds, is_working_day):
        with pytest.raises(TypeError, match="not an instant"):
            ask(instant)
