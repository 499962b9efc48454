"""Roles: what somebody may be, the scope without which a role is none, and the one in which they act."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from shared.city.departments import Department
from shared.city.divisions import Level, division, lies_in


class Role(StrEnum):
    """What a caller may be, in the field's words. Which division or department is said by the scopes."""

    RESIDENT = "resident"  # 居民，也是患者
    COMMUNITY_WORKER = "community-worker"  # 村（社区）妇联执委、宣讲督导队员
    COUNTY_OFFICER = "county-officer"  # 县（市、区）妇联干部
    CITY_OFFICER = "city-officer"  # 市妇联干部
    COORDINATOR = "coordinator"  # 绿色通道协调员
    CLINICIAN = "clinician"  # 医院科室人员
    DATA_OFFICER = "data-officer"  # 个人信息保护负责人
    SYSTEM = "system"  # 市里其他系统


@dataclass(frozen=True, slots=True)
class Scope:
    """What a role reaches. A token that does not say whose division or department it is about, or says one
    of a level that is not the role's, does not have the role."""

    levels: tuple[Level, ...] = ()
    """Of which its division is; none: it is about no division, and reaches none."""
    departments: Literal["none", "own", "all"] = "none"


SCOPES: Mapping[Role, Scope] = MappingProxyType(
    {
        Role.RESIDENT: Scope(),
        Role.COMMUNITY_WORKER: Scope(levels=("town", "community")),
        Role.COUNTY_OFFICER: Scope(levels=("county",)),
        Role.CITY_OFFICER: Scope(levels=("city",)),
        Role.COORDINATOR: Scope(departments="all"),
        Role.CLINICIAN: Scope(departments="own"),
        Role.DATA_OFFICER: Scope(departments="all"),
        Role.SYSTEM: Scope(),
    }
)


class Lack(StrEnum):
    """Why a token does not have a role that it names."""

    DIVISION = "division"
    """It says no division, or none of the city's."""
    DIVISION_LEVEL = "division-level"
    """The role's division is of another level."""
    DEPARTMENT = "department"
    """It says no department, or none that the green channel leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose token it is, whatever they may do."""

    id: str
    """The token's subject. It may be personal: never in an event, a log line or a metric."""
    phone: str | None = None
    """Their phone as `shared.model.text.normal_phone` writes it, where the issuer has verified it."""
    signed_in_at: datetime | None = None
    """When they last proved to the issuer who they are (`auth_time`); None where it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller(Account):
    """Who calls, in the one role that they act in; with what that role needs, and nothing of their others."""

    role: Role
    org_unit: str | None = None
    """The federation's unit that a caller acts for."""
    division: str | None = None
    """The division that an officer or worker is responsible for."""
    department: Department | None = None
    """The hospital department of a clinician."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer(Account):
    """Everything that a token says."""

    callers: Mapping[Role, Caller]
    """By role: who they are when they act in it."""
    lacks: Mapping[Role, Lack] = field(default_factory=dict)
    """The roles that the token names and does not have."""

    @classmethod
    def of(
        cls, account: Account, roles: frozenset[Role], *, org_unit: Any, division: Any, department: Any
    ) -> "Bearer":
        """From the claims as they came: whatever is not one of ours counts as not said."""
        at, works_in = known_division(division), known_department(department)
        lacks = {role: why for role in roles if (why := lack(role, at, works_in))}
        callers = {
            role: Caller(
                id=account.id,
                role=role,
                phone=account.phone if role is Role.RESIDENT else None,
                signed_in_at=account.signed_in_at,
                org_unit=org_unit if isinstance(org_unit, str) and SCOPES[role].levels else None,
                division=at if SCOPES[role].levels else None,
                department=works_in if SCOPES[role].departments == "own" else None,
            )
            for role in roles - lacks.keys()
        }
        return cls(
            id=account.id,
            phone=account.phone,
            signed_in_at=account.signed_in_at,
            callers=callers,
            lacks=lacks,
        )


def lack(role: Role, at: str | None, department: Department | None) -> Lack | None:
    """What is missing for a role; None where nothing is. `at`: the code of a known division."""
    scope = SCOPES[role]
    if scope.levels and at is None:
        return Lack.DIVISION
    if scope.levels and at and division(at).level not in scope.levels:
        return Lack.DIVISION_LEVEL
    if scope.departments == "own" and department is None:
        return Lack.DEPARTMENT
    return None


def known_division(claimed: Any) -> str | None:
    """A known code, or None: a mere prefix of codes would reach all that begins with it."""
    try:
        return division(claimed).code if isinstance(claimed, str) else None
    except LookupError:
        return None


def known_department(claimed: Any) -> Department | None:
    """A department that the green channel leads to, or None."""
    return Department(claimed) if isinstance(claimed, str) and claimed in set(Department) else None


def reaches(caller: Caller, place: str) -> bool:
    """Whether a place lies in the division that the caller, in this role, is responsible for."""
    return caller.division is not None and lies_in(place, caller.division)


def reaches_department(caller: Caller, department: Department) -> bool:
    """Whether a department is one that the caller, in this role, has to do with."""
    reach = SCOPES[caller.role].departments
    return reach == "all" or (reach == "own" and caller.department is department)
