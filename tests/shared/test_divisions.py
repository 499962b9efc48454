from collections import Counter
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.city import divisions
from shared.city.divisions import (
    CITY,
    CITY_HOUSEHOLDS,
    CommunityCode,
    DivisionCode,
    UnknownDivision,
    communities,
    counties,
    county_of,
    division,
    households,
    org_units,
    path_name,
)

COMMUNITIES = {"江山市": 323, "衢江区": 295, "柯城区": 291, "龙游县": 288, "开化县": 269, "常山县": 198}
ALL = list(divisions._register().values())


def test_the_city_has_six_counties_100_towns_and_1664_communities() -> None:
    assert Counter(place.level for place in ALL) == {"city": 1, "county": 6, "town": 100, "community": 1664}


def test_each_county_has_its_published_number_of_communities() -> None:
    assert {county.name: len(communities(county.code)) for county in counties()} == COMMUNITIES


def test_communities_stand_in_code_order_and_within_their_town() -> None:
    everywhere = [place.code for place in communities()]
    assert everywhere == sorted(everywhere)
    assert {place.parent for place in communities("330802006")} == {"330802006"}
    assert communities("330802006001") == (division("330802006001"),)


def test_every_parent_is_one_level_up() -> None:
    up = {"county": "city", "town": "county", "community": "town"}
    assert all(division(place.parent).level == up[place.level] for place in ALL if place.parent)
    assert [place.code for place in ALL if place.parent is None] == [CITY]


def test_a_division_belongs_to_a_county_and_has_a_full_name() -> None:
    assert county_of("330802006001") == county_of("330802006") == county_of("330802") == "330802"
    assert county_of(CITY) == CITY
    assert path_name("330802006") == "衢州市柯城区府山街道"
    assert path_name(CITY) == "衢州市"


@pytest.mark.parametrize("code", ["", "3308", "330100", "330802999", "33080200600１", "330802006001 "])
def test_an_unknown_code_is_refused_everywhere(code: str) -> None:
    for ask in (division, county_of, path_name, households):
        with pytest.raises(UnknownDivision, match="未知的区划代码 / unknown division"):
            ask(code)
    for kind in (DivisionCode, CommunityCode):
        with pytest.raises(ValidationError, match="未知的区划代码 / unknown division"):
            TypeAdapter(kind).validate_python(code)


def test_communities_under_an_unknown_code_are_refused() -> None:
    with pytest.raises(UnknownDivision):
        communities("330100")


def test_codes_are_validated_by_level() -> None:
    assert TypeAdapter(DivisionCode).validate_python("330802006") == "330802006"
    assert TypeAdapter(CommunityCode).validate_python("330802006001") == "330802006001"
    with pytest.raises(ValidationError, match="12位"):
        TypeAdapter(CommunityCode).validate_python("330802006")


def test_a_division_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        division(CITY).name = "杭州市"  # type: ignore[misc]


def test_household_estimates_add_up_at_every_level() -> None:
    below: Counter[str] = Counter()
    for place in ALL:
        if place.parent:
            below[place.parent] += households(place.code)
    assert households(CITY) == CITY_HOUSEHOLDS == 916_430
    assert all(below[place.code] == households(place.code) for place in ALL if place.level != "community")


def test_households_follow_population_by_county_and_are_even_within_one() -> None:
    by_size = sorted(counties(), key=lambda county: households(county.code), reverse=True)
    assert [county.name[:2] for county in by_size] == ["江山", "柯城", "衢江", "龙游", "开化", "常山"]
    assert abs(households("330881") - CITY_HOUSEHOLDS * 61.08 / 255.94) < 1
    for county in counties():
        sizes = [households(place.code) for place in communities(county.code)]
        assert max(sizes) - min(sizes) <= 1
        assert sizes == sorted(sizes, reverse=True)


@given(st.integers(0, 10**7), st.dictionaries(st.text("0123456789"), st.integers(1, 10**4), min_size=1))
def test_apportioning_loses_nothing_and_is_never_off_by_one(total: int, weights: dict[str, int]) -> None:
    shares = divisions._apportion(total, weights)
    whole = sum(weights.values())
    assert sum(shares.values()) == total
    assert all(abs(shares[code] * whole - total * weight) < whole for code, weight in weights.items())
    assert shares == divisions._apportion(total, dict(reversed(weights.items())))


def test_the_addressees_are_six_counties_and_four_units_without_a_place() -> None:
    units = org_units()
    assert len({unit.id for unit in units}) == len(units) == 11
    assert [unit.division for unit in units if unit.division] == [CITY, *(place.code for place in counties())]
    assert all(unit.name.startswith(division(unit.division).name) for unit in units if unit.division)
    assert [unit.name for unit in units if unit.division is None] == [
        "智慧新城妇联",
        "绿色产业集聚区妇委会",
        "市直各系统妇委会",
        "巨化工会女职委",
    ]
