"""The role that somebody acts in: one per request, named by the route, or by the caller where a route is for
several of theirs.

    coordinator's token, route of coordinators                          → coordinator
    token of a coordinator who is a patient too, route of both          → 400, with the choices
    the same with `Acting-Role: resident`                               → resident, as if nothing else
"""

from contextvars import ContextVar
from typing import Annotated, Any

from fastapi import Header

from shared.model.problems import Problem
from shared.model.roles import Bearer, Caller, Role

HEADER = "Acting-Role"
ACTING = "acting"
"""Where in the request's scope the caller is, in the role that they act in."""
# No pattern: FastAPI would refuse the header and read the other parameters, without an acting role.
ActingRole = Annotated[
    str | None,
    Header(
        alias=HEADER,
        description="以何种身份办理，持有多种身份时必填 / which role to act in, where several fit",
        json_schema_extra={"enum": list(Role)},
    ),
]


class Forbidden(Problem):
    """The caller is known, and may not do this."""

    status, type, title, title_en = 403, "forbidden", "无权办理", "Not allowed"


class RoleNotChosen(Problem):
    """The caller has several of the roles that the route is for; `choices` are those, `header` says which."""

    status, type = 400, "acting-role-needed"
    title, title_en = "请选择以何种身份办理", "Choose the role to act in"


_acting: ContextVar[Caller] = ContextVar("acting")


def act(bearer: Bearer, allowed: frozenset[Role], chosen: str | None) -> Caller:
    """The caller in the one role that they act in, from now on in this request.

    Raises Forbidden (`needed`: one of these; `lacking`: those that the token names without what they need),
    RoleNotChosen.
    """
    held = [role for role in bearer.callers if role in allowed and chosen in (None, role)]
    if not held:
        facts: dict[str, Any] = {"needed": sorted(allowed)}
        if lacking := {role.value: why for role, why in bearer.lacks.items() if role in allowed}:
            facts["lacking"] = lacking
        raise Forbidden(**facts)
    if len(held) > 1:
        raise RoleNotChosen(choices=sorted(held), header=HEADER)
    caller = bearer.callers[held[0]]
    _acting.set(caller)
    return caller


def acting() -> Caller:
    """Who acts in the request that this task serves. Raises LookupError before the route's rule has run."""
    return _acting.get()
