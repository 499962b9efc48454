"""Who may call a route: said beside the route, in its signature.

`caller: Annotated[Caller, may(Role.CITY_OFFICER)]` lets callers with that role in;
`caller: Annotated[None, anyone("why")]` says that a route is open to the public, and why it may be.
A route without a rule fails a test; `docs/access.md` is written from these rules.
"""

from ipaddress import AddressValueError, IPv6Address, ip_network
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared import security_log
from shared.divisions import CITY
from shared.idempotency import ADMITTED, CALLER
from shared.identity import Caller, Identity, Role, Unauthenticated
from shared.problems import Problem
from shared.proofs import check_fresh
from shared.rates import Rates
from shared.security_log import Kind

__all__ = ["Caller", "Forbidden", "MaybeCaller", "Role", "Rule", "anyone", "may", "reaches"]

SYSTEM_SHARE = 1000
"""Another city system speaks for many: it may ask so many times as often as a person."""
_bearer = HTTPBearer(auto_error=False, description="JWT of the issuer; locally: `jinguo token`")
_Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class Forbidden(Problem):
    """The caller is known, and may not do this."""

    status, type, title, title_en = 403, "forbidden", "无权办理", "Not allowed"


class Rule:
    """Who may call a route. `roles`: any of them; none at all: open to the public, because of `why`.

    `fresh`: only who has just signed in.
    """

    def __init__(self, roles: frozenset[Role], why: str = "", *, fresh: bool = False) -> None:
        self.roles = roles
        self.why = why
        self.fresh = fresh


class _Roles(Rule):
    async def __call__(self, request: Request, given: _Given) -> Caller:
        if given is None:
            raise Unauthenticated("missing")
        identity: Identity = request.app.state.identity
        caller = await identity.caller(given.credentials)
        request.scope[security_log.CALLER] = caller.id
        if not (acting := caller.roles & self.roles):
            raise Forbidden(needed=sorted(self.roles))
        if self.fresh:
            check_fresh(caller)
        request.scope[CALLER], request.scope[ADMITTED] = caller.id, True
        if acting != {Role.RESIDENT}:
            request.scope[security_log.ROLE] = "+".join(sorted(acting))
            security_log.record(Kind.ROLE_USED)
        return caller


async def _caller_if_any(request: Request, given: _Given) -> Caller | None:
    if given is None:
        return None
    identity: Identity = request.app.state.identity
    caller = await identity.caller(given.credentials)
    request.scope[security_log.CALLER] = caller.id
    return caller


MaybeCaller = Annotated[Caller | None, Depends(_caller_if_any)]
"""Who brings a token, on a route that is open to the public. Raises Unauthenticated for one that is wrong."""


def _source(request: Request) -> str:
    """The caller's address; of IPv6 the network, which is what one household or machine has to itself."""
    address = request.client.host if request.client else ""
    try:
        found = IPv6Address(address)
    except AddressValueError:
        return address
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))


class _Anyone(Rule):
    async def __call__(self, request: Request, given: _Given) -> None:
        await self._count(request, given)
        request.scope[ADMITTED] = True

    async def _count(self, request: Request, given: _Given) -> None:
        rates: Rates = request.app.state.rates
        if not rates.most:
            return
        blind = request.app.state.store.vault.blind_index
        caller = await _caller_if_any(request, given)
        if caller is None:
            await rates.check(blind(f"address|{_source(request)}"))
            return
        share = SYSTEM_SHARE if Role.SYSTEM in caller.roles else 1
        await rates.check(blind(f"caller|{caller.id}"), share)


def may(*roles: Role, fresh: bool = False) -> Any:
    """The rule of a route that callers with any of these roles may use. Raises 401 and 403 problems.

    `fresh`: they must have signed in a few minutes ago; for what cannot be undone.
    """
    return Depends(_Roles(frozenset(roles), fresh=fresh))


def anyone(why: str) -> Any:
    """The rule of a route that is open to the public; so often a minute as the settings say.

    Who brings a token is counted by it, others by their address. Raises TooManyRequests.
    """
    return Depends(_Anyone(frozenset(), why))


def reaches(caller: Caller, division: str) -> bool:
    """Whether a place lies in the division that the caller is responsible for."""
    own = caller.division
    return own is not None and (own == CITY or division.startswith(own))


def verified_phone(caller: Caller) -> str:
    """The phone that the issuer has verified. Raises Forbidden without one."""
    if caller.phone is None:
        raise Forbidden("需要已验证的手机号 / A verified phone is needed")
    return caller.phone


def rule_of(route: Any) -> Rule | None:
    """The rule that a route states. Raises ValueError for a route that states several."""
    rules = [found.call for found in route.dependant.dependencies if isinstance(found.call, Rule)]
    if len(rules) > 1:
        raise ValueError(f"{route.path} states {len(rules)} rules")
    return rules[0] if rules else None
