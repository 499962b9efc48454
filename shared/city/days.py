"""Days: instants are UTC, days are days in Asia/Shanghai, and some of them are working days.

Working days come from the package `chinesecalendar`, which follows the State Council's yearly notices
on public holidays. Its years end with the last notice it knows; for the years outside, an operator
sets a table, in JSON:

    JINGUO_WORKING_DAYS='{"2031": {"holidays": ["2031-01-01"], "working_days": ["2031-01-04"]}}'
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache
from typing import Annotated

import chinese_calendar
from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_settings import BaseSettings, SettingsConfigDict

# A fixed offset needs no time zone files in the image; China has had no daylight saving since 1992.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")

_SATURDAY = 5
_PACKAGE_YEARS = range(min(chinese_calendar.holidays).year, max(chinese_calendar.holidays).year + 1)


class WorkingYear(BaseModel):
    """What a year's notice on public holidays changes about its weeks from Monday to Friday."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holidays: frozenset[date]
    """Days off. Weekends need not be listed."""
    working_days: frozenset[date] = frozenset()
    """Saturdays and Sundays worked in exchange (调休)."""

    def works_on(self, day: date) -> bool:
        return day in self.working_days or (day.weekday() < _SATURDAY and day not in self.holidays)


def _each_in_its_year(table: Mapping[int, WorkingYear]) -> Mapping[int, WorkingYear]:
    for year, exceptions in table.items():
        if any(day.year != year for day in exceptions.holidays | exceptions.working_days):
            raise ValueError(f"{year} lists a day of another year")
    return table


WorkingDayTable = Annotated[Mapping[int, WorkingYear], AfterValidator(_each_in_its_year)]
"""Year -> its exceptions."""


class NoCalendar(LookupError):
    """Neither the package nor the table knows the public holidays of this year."""

    def __init__(self, year: int) -> None:
        super().__init__(
            f"没有{year}年的工作日历，请在配置 JINGUO_WORKING_DAYS 中补充 / "
            f"no working-day calendar for {year}: add it to the setting JINGUO_WORKING_DAYS"
        )
        self.year = year


def local_day(instant: datetime) -> date:
    """The day in Asia/Shanghai on which `instant` falls. Raises ValueError for a naive one."""
    if instant.utcoffset() is None:
        raise ValueError("a naive datetime is no instant")
    return instant.astimezone(SHANGHAI).date()


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The first instant of the day in Asia/Shanghai and the first one after it, in UTC."""
    start = datetime.combine(_day(day), time(), SHANGHAI).astimezone(UTC)
    return start, start + timedelta(days=1)


def is_working_day(day: date, table: WorkingDayTable | None = None) -> bool:
    """Whether offices work on `day`.

    `table` (None: the configured one) answers for the years that the package does not know.
    Raises NoCalendar.
    """
    if _day(day).year in _PACKAGE_YEARS:
        return bool(chinese_calendar.is_workday(day))
    exceptions = (_configured() if table is None else table).get(day.year)
    if exceptions is None:
        raise NoCalendar(day.year)
    return exceptions.works_on(day)


def add_working_days(start: date, n: int, table: WorkingDayTable | None = None) -> date:
    """The `n`-th working day from `start`, which counts as the first if it is one.

    So the fifth from 2020-04-24 is 2020-04-29, from 2020-04-28 it is 2020-05-07. Raises NoCalendar.
    """
    if n < 1:
        raise ValueError(f"working days are counted from 1, not {n}")
    day = start
    while n := n - is_working_day(day, table):
        day += timedelta(days=1)
    return day


def _day(day: date) -> date:
    # A datetime is a date to Python, but its date is that of its own time zone: ask local_day first.
    if isinstance(day, datetime):
        raise TypeError("expected a day, not an instant")
    return day


class _Configuration(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="JINGUO_", extra="ignore")

    working_days: WorkingDayTable = {}


@cache
def _configured() -> WorkingDayTable:
    return _Configuration().working_days
