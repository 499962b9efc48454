"""Who may call a route: said beside the route, in its signature.

`caller: Annotated[Caller, may(Role.CITY_OFFICER)]` lets callers with that role in;
`_: Annotated[Asking, anyone("why")]` says that a route is open to the public, and why it may be.
A service with a route that has none is not built; `docs/access.md` is written from these rules.
"""

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared import security_log
from shared.http.acting import ACTING, HEADER, ActingRole, Forbidden, act
from shared.http.allowances import Allowances, Asking
from shared.http.identity import Identity, Unauthenticated
from shared.http.proofs import check_fresh
from shared.model.roles import Account, Bearer, Caller, Role, reaches
from shared.security_log import Kind
from shared.store.request_keys import ADMITTED, CALLER

__all__ = ["Account", "Caller", "Forbidden", "MaybeCaller", "Role", "Rule", "anyone", "may", "reaches"]

_bearer = HTTPBearer(auto_error=False, description="JWT of the issuer; locally: `jinguo token`")
_Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class Rule:
    """Who may call a route. `roles`: any of them; none at all: open to the public, because of `why`.

    `fresh`: only who has just signed in.
    """

    def __init__(self, roles: frozenset[Role], why: str = "", *, fresh: bool = False) -> None:
        self.roles = roles
        self.why = why
        self.fresh = fresh


async def _bearer_of(request: Request, given: HTTPAuthorizationCredentials) -> Bearer:
    identity: Identity = request.app.state.identity
    bearer = await identity.bearer(given.credentials)
    request.scope[CALLER] = request.scope[security_log.CALLER] = bearer.id
    return bearer


class _Roles(Rule):
    async def __call__(self, request: Request, given: _Given) -> Caller:
        return await self._admit(request, given, request.headers.get(HEADER))

    async def _admit(self, request: Request, given: _Given, chosen: str | None) -> Caller:
        if given is None:
            raise Unauthenticated("missing")
        caller = act(await _bearer_of(request, given), self.roles, chosen)
        if self.fresh:
            check_fresh(caller)
        # An answer that is kept with a key is repeated for the role that it was given to.
        request.scope[CALLER], request.scope[ADMITTED] = f"{caller.role}|{caller.id}", True
        request.scope[ACTING] = caller
        if caller.role is not Role.RESIDENT:
            request.scope[security_log.ROLE] = caller.role
            security_log.record(Kind.ROLE_USED)
        return caller


class _OneOf(_Roles):
    """A route for several roles: its documentation has the header in which a caller chooses."""

    async def __call__(self, request: Request, given: _Given, chosen: ActingRole = None) -> Caller:
        return await self._admit(request, given, chosen)


async def _caller_if_any(request: Request, given: _Given) -> Bearer | None:
    return None if given is None else await _bearer_of(request, given)


MaybeCaller = Annotated[Bearer | None, Depends(_caller_if_any)]
"""Who brings a token, on a route that is open to the public: in no role. Raises Unauthenticated for one that
is wrong."""


class _Anyone(Rule):
    """`costly`: what is asked for costs us money each time, as a message to a phone does."""

    def __init__(self, why: str, *, costly: bool) -> None:
        super().__init__(frozenset(), why)
        self.costly = costly

    async def __call__(self, request: Request, given: _Given) -> Asking:
        allowances: Allowances = request.app.state.allowances
        bearer = await _caller_if_any(request, given)
        asking = await allowances.asked(request, bearer, costly=self.costly)
        request.scope[ADMITTED] = True
        return asking


def may(*roles: Role, fresh: bool = False) -> Any:
    """The rule of a route that callers with any of these roles may use; who has several chooses one.

    `fresh`: they must have signed in a few minutes ago; for what cannot be undone. Raises Unauthenticated,
    Forbidden, RoleNotChosen, SignInAgain.
    """
    return Depends((_OneOf if len(roles) > 1 else _Roles)(frozenset(roles), fresh=fresh))


def anyone(why: str, *, costly: bool = False) -> Any:
    """The rule of a route that is open to the public; so often a minute as the settings say.

    Reading and changing are counted apart, and what is `costly` for itself. Raises TooManyRequests,
    ProofNeeded.
    """
    return Depends(_Anyone(why, costly=costly))


def rule_of(route: Any) -> Rule | None:
    """The rule that a route states. Raises ValueError for a route that states several."""
    rules = [found.call for found in route.dependant.dependencies if isinstance(found.call, Rule)]
    if len(rules) > 1:
        raise ValueError(f"{route.path} states {len(rules)} rules")
    return rules[0] if rules else None
