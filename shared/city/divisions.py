"""Where: the city's divisions with their household counts. And who: the federation's org units.

Codes follow GB/T 2260 and the statistical codes below it (`shared/city/data/README.md` has the source):
6 digits are the city or a county, 9 a town or street, 12 a village or community.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

CITY = "330800"
CITY_HOUSEHOLDS = 916_430
"""Family households (家庭户) of the city, 2020 census."""
REGISTERED_POPULATION = {
    "330802": 44_21,
    "330803": 41_09,
    "330822": 33_97,
    "330824": 35_87,
    "330825": 39_72,
    "330881": 61_08,
}
"""Registered population (户籍人口) at the end of 2021 by county, in hundreds (61_08 is 61.08 万)."""

Level = Literal["city", "county", "town", "community"]
_LEVELS: dict[int, Level] = {6: "county", 9: "town", 12: "community"}


class UnknownDivision(LookupError):
    """No division of the city has this code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"未知的区划代码 / unknown division: {code!r}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Division:
    """A place: the city, a county, a town or street, a village or community."""

    code: str
    name: str
    level: Level
    parent: str | None
    """The code of the division around it; None for the city."""


def division(code: str) -> Division:
    """The division with this code. Raises UnknownDivision."""
    try:
        return _register()[code]
    except KeyError:
        raise UnknownDivision(code) from None


def division_range(code: str) -> dict[str, str]:
    """The codes of a division and of all within it, for a query; the city's own code ends in zeros."""
    prefix = code.removesuffix("00") if code == CITY else code
    return {"$gte": prefix, "$lt": prefix + ":"}


def county_of(code: str) -> str:
    """The 6-digit code of the county around `code`. The city is in no county and answers itself."""
    return division(code).code[:6]


def lies_in(code: str, around: str) -> bool:
    """Whether a division is another one, or lies in it. Both are known codes."""
    return around == CITY or code.startswith(around)


def counties() -> Sequence[Division]:
    """The six counties, in code order."""
    return tuple(division(code) for code in REGISTERED_POPULATION)


def communities(under: str | None = None) -> Sequence[Division]:
    """The villages and communities in `under` (None: in the city), in code order.

    A community is in itself. Raises UnknownDivision.
    """
    return _communities()[division(under or CITY).code]


def path_name(code: str) -> str:
    """The name in full, from the city down: 衢州市柯城区府山街道…. Raises UnknownDivision."""
    return "".join(place.name for place in reversed(lineage(code)))


def lineage(code: str) -> Sequence[Division]:
    """The place and the divisions around it, outwards to the city. Raises UnknownDivision."""
    found = [division(code)]
    while found[-1].parent:
        found.append(division(found[-1].parent))
    return found


def households(code: str) -> int:
    """ESTIMATE of the family households in a division; only the city's own number was counted.

    City: 2020 census. Counties: the city's number split by registered population at the end of 2021.
    Below: a county's number spread evenly over its villages and communities. Shares are rounded by
    largest remainder, so that the parts of a division always add up to it. Raises UnknownDivision.
    """
    return _households()[division(code).code]


def _known(code: str) -> str:
    # The message does not repeat the input: a person may have typed anything into this field.
    if code not in _register():
        raise PydanticCustomError("unknown_division", "未知的区划代码 / unknown division")
    return code


def _known_community(code: str) -> str:
    if _register()[_known(code)].level != "community":
        raise PydanticCustomError(
            "not_a_community", "须为村或社区的12位代码 / must be the 12-digit code of a village or community"
        )
    return code


class Place:
    """Marks a type whose values are codes of divisions."""


DivisionCode = Annotated[
    str,
    Place(),
    AfterValidator(_known),
    WithJsonSchema(
        {"type": "string", "pattern": r"^3308\d{2}(\d{3}(\d{3})?)?$", "examples": ["330802", "330802006"]}
    ),
]
"""The code of a known division, whatever its level."""

CommunityCode = Annotated[
    str,
    Place(),
    AfterValidator(_known_community),
    WithJsonSchema({"type": "string", "pattern": r"^3308\d{8}$", "examples": ["330802005001"]}),
]
"""The code of a known village or community."""


@dataclass(frozen=True, slots=True)
class OrgUnit:
    """Who acts. Not a place: some units answer for a system or a zone that no code covers."""

    id: str
    name: str
    division: str | None
    """The division it answers for; None: shown as a tile beside the map."""


_ORG_UNITS = (
    OrgUnit("city", "衢州市妇女联合会", CITY),
    OrgUnit("kecheng", "柯城区妇联", "330802"),
    OrgUnit("qujiang", "衢江区妇联", "330803"),
    OrgUnit("changshan", "常山县妇联", "330822"),
    OrgUnit("kaihua", "开化县妇联", "330824"),
    OrgUnit("longyou", "龙游县妇联", "330825"),
    OrgUnit("jiangshan", "江山市妇联", "330881"),
    OrgUnit("zhihui-xincheng", "智慧新城妇联", None),
    OrgUnit("lvse-chanye-jijuqu", "绿色产业集聚区妇委会", None),
    OrgUnit("shizhi-xitong", "市直各系统妇委会", None),
    OrgUnit("juhua", "巨化工会女职委", None),
)


def org_units() -> Sequence[OrgUnit]:
    """The city's federation, then the addressees of its notice 衢妇〔2020〕5号."""
    return _ORG_UNITS


@cache
def _register() -> Mapping[str, Division]:
    """Every division by its code, in code order: each place before those in it."""
    with (
        Path(__file__).with_name("data").joinpath("divisions.csv").open(encoding="utf-8", newline="") as file
    ):
        rows = csv.reader(file)
        next(rows)
        return MappingProxyType({code: _division(code, name) for code, name in rows})


def _division(code: str, name: str) -> Division:
    if code == CITY:
        return Division(code, name, "city", None)
    parent = CITY if len(code) == 6 else code[:-3]
    return Division(code, name, _LEVELS[len(code)], parent)


@cache
def _communities() -> Mapping[str, Sequence[Division]]:
    """The communities within each division."""
    within: defaultdict[str, list[Division]] = defaultdict(list)
    for place in _register().values():
        if place.level == "community":
            for around in lineage(place.code):
                within[around.code].append(place)
    return MappingProxyType({code: tuple(places) for code, places in within.items()})


@cache
def _households() -> Mapping[str, int]:
    by_county = _apportion(CITY_HOUSEHOLDS, REGISTERED_POPULATION)
    by_community = dict(
        chain.from_iterable(
            _apportion(total, {place.code: 1 for place in communities(county)}).items()
            for county, total in by_county.items()
        )
    )
    return MappingProxyType(
        {code: sum(by_community[place.code] for place in places) for code, places in _communities().items()}
    )


def _apportion(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Split `total` by weight with the largest-remainder method; the lower code wins a tie.

    In whole numbers, so that the parts are the same on every machine and add up to `total`.
    """
    whole = sum(weights.values())
    shares = {code: total * weight // whole for code, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda code: (-(total * weights[code] % whole), code))
    for code in by_remainder[: total - sum(shares.values())]:
        shares[code] += 1
    return shares
