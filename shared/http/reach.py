"""Divisions and departments that callers name: the type itself is held against whoever acts.

    division: OwnDivision                                     in a body, a path or a query: 403 for another's
    county: Annotated[DivisionCode, open_to_all("why")]       any may be named; and why

The rule of a route says who acts before its path, query and body are read, for it is a dependency. A service
that lets callers name a place in neither way is refused when it is built: see `check_reach`.
"""

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import AfterValidator, BaseModel

from shared.city.departments import Department
from shared.city.divisions import DivisionCode, Place
from shared.http.access import Forbidden, Rule, rule_of
from shared.http.acting import acting
from shared.model.roles import SCOPES, Caller, Role, reaches, reaches_department


class Own:
    """Marks a type whose values must be the caller's own."""


class OpenTo(NamedTuple):
    """Marks a type whose values may be anybody's."""

    why: str


def open_to_all(why: str) -> OpenTo:
    """Any division, department or record may be named here, because of `why`."""
    return OpenTo(why)


def _own_division(code: str) -> str:
    if not reaches(acting(), code):
        raise Forbidden(division=code)
    return code


def _own_department(department: Department) -> Department:
    if not reaches_department(acting(), department):
        raise Forbidden(department=department)
    return department


OwnDivision = Annotated[DivisionCode, AfterValidator(_own_division), Own()]
"""The code of a division that the caller is responsible for. Raises Forbidden."""
OwnDepartment = Annotated[Department, AfterValidator(_own_department), Own()]
"""A department that the caller has to do with. Raises Forbidden."""


def within(caller: Caller, division: str) -> str:
    """A division that the caller wants to act in. Raises Forbidden when it is not theirs."""
    if not reaches(caller, division):
        raise Forbidden(division=division)
    return division


class Named(NamedTuple):
    """A division or department that a route lets callers name, or a record that may be anybody's.

    `field`: `body.condition.division`.
    """

    field: str
    department: bool
    own: bool
    open_to: str
    """Why it may be anybody's."""


def named_in(route: Any) -> list[Named]:
    """Every division and department in a route's path, query and body."""
    found: list[Named] = []
    for dependant in flat(route.dependant):
        for where in ("path", "query", "header", "body"):
            for field in getattr(dependant, f"{where}_params"):
                info = field.field_info
                path = where if where == "body" else f"{where}.{field.name}"
                found += _named(path, info.annotation, info.metadata)
    return found


def flat(dependant: Any) -> Iterator[Any]:
    """A dependency of a route, and all that it depends on."""
    yield dependant
    for inner in dependant.dependencies:
        yield from flat(inner)


def _named(path: str, annotation: Any, metadata: Any) -> list[Named]:
    marks, types = [*metadata], [annotation]
    for one in types:  # grows: Annotated, unions and containers are looked into
        marks += getattr(one, "__metadata__", ())
        types += [inner for inner in get_args(one) if isinstance(inner, type) or get_args(inner)]
    department = Department in types
    if department or any(isinstance(mark, Place | OpenTo) for mark in marks):
        own = any(isinstance(mark, Own) for mark in marks)
        why = next((mark.why for mark in marks if isinstance(mark, OpenTo)), "")
        return [Named(path, department, own, why)]
    return [
        named
        for model in types
        if isinstance(model, type) and issubclass(model, BaseModel)
        for name, info in model.model_fields.items()
        for named in _named(f"{path}.{name}", info.annotation, info.metadata)
    ]


def check_reach(route: Any) -> None:
    """Raises ValueError for a route whose callers could name a division or department that is not theirs.

    Routes that are open to the public say why in their rule.
    """
    rule = rule_of(route)
    for named in named_in(route):
        if named.own and not (rule and all(_has(role, named) for role in rule.roles) and rule.roles):
            raise ValueError(f"{route.path}: {named.field} is nobody's own on this route")
        if not (named.own or named.open_to or _is_public(rule)):
            raise ValueError(
                f"{route.path}: {named.field} is neither OwnDivision, OwnDepartment nor open_to_all"
            )


def _is_public(rule: Rule | None) -> bool:
    return rule is None or not rule.roles


def _has(role: Role, named: Named) -> bool:
    scope = SCOPES[role]
    return scope.departments != "none" if named.department else bool(scope.levels)
