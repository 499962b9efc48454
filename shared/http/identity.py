"""Who calls: JWTs of an OpenID Connect issuer, checked against its keys.

Only asymmetric signatures are accepted, and each only with a key made for it: a token that says `none`, or
HMAC over a public key, is refused before a key is looked at.
"""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import structlog
from cachetools import TTLCache

from shared import security_log
from shared.model.problems import Problem, Unavailable
from shared.model.roles import Account, Bearer, Role
from shared.model.text import phone_or_none
from shared.security_log import Kind
from shared.settings import Settings

ALGORITHMS = ("RS256", "ES256", "EdDSA")
REQUIRED = ("exp", "iss", "aud", "sub")
FRESH = 600.0
"""Seconds after which the issuer's keys are fetched again: one that was withdrawn lives no longer here."""
ASK_AGAIN = 5.0
"""Seconds between attempts to fetch: neither unknown keys nor an issuer that hangs hold requests up."""
REMEMBERED = 60
"""Seconds for which a checked token is not checked again."""
LOCAL_ISSUER = "jinguo_local_issuer"
"""The mark of the local issuer in its discovery document: production refuses it."""
log = structlog.get_logger()


class Unauthenticated(Problem):
    """There is no valid token: `reason` says what is wrong with it."""

    status, type, title, title_en = 401, "unauthenticated", "请先登录", "A valid token is needed"

    def __init__(self, reason: str) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"}, reason=reason)
        self._reason = reason

    @property
    def reason(self) -> str:
        """What is wrong with the token, as one of our words."""
        return self._reason


class ProductionRefused(RuntimeError):
    """Production was asked to trust the local issuer of made-up people."""


class Identity:
    """Checks tokens of the issuer that the settings name. `close()` at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys(settings)
        self._known: TTLCache[str, tuple[Bearer, float]] = TTLCache(maxsize=10_000, ttl=REMEMBERED)

    async def bearer(self, token: str) -> Bearer:
        """Who a token speaks for, in which roles. Raises Unauthenticated, Unavailable (no issuer)."""
        bearer, expires = self._known.get(token, (None, 0.0))
        if bearer is None:
            claims = await self._claims(token)
            bearer = self._bearer(claims)
            self._known[token] = bearer, claims["exp"]
        elif expires + self._settings.oidc_leeway < time.time():
            raise Unauthenticated("expired")
        return bearer

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in ALGORITHMS:
                raise Unauthenticated("algorithm")
            key = await self._keys.find(head.get("kid"))
            return jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._settings.oidc_audience,
                issuer=self._settings.oidc_issuer,
                leeway=self._settings.oidc_leeway,
                options={"require": list(REQUIRED)},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(_reason(error)) from None

    def _bearer(self, claims: dict[str, Any]) -> Bearer:
        named = self._settings
        verified = claims.get("phone_number_verified") is True
        account = Account(
            id=claims["sub"],
            phone=phone_or_none(claims.get("phone_number")) if verified else None,
            signed_in_at=_instant(claims.get("auth_time")),
        )
        return Bearer.of(
            account,
            _roles(_at(claims, named.oidc_roles_claim)),
            org_unit=_at(claims, named.oidc_org_unit_claim),
            division=_at(claims, named.oidc_division_claim),
            department=_at(claims, named.oidc_department_claim),
        )

    async def check(self) -> None:
        """Fetch the keys now. Raises ProductionRefused when production would trust the local issuer."""
        try:
            await self._keys.fetch()
        except Unavailable as error:
            log.warning("the issuer cannot be reached yet", issuer=self._settings.oidc_issuer, why=str(error))

    async def close(self) -> None:
        """Close the connections to the issuer."""
        await self._keys.close()


def _at(claims: dict[str, Any], path: str) -> Any:
    """A claim by its dotted path, e.g. `realm_access.roles`; None where there is none."""
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _roles(claimed: Any) -> frozenset[Role]:
    """The roles that we know among those a token names."""
    named = [name for name in claimed if isinstance(name, str)] if isinstance(claimed, list) else []
    return frozenset(role for role in Role if role in named)


def _instant(claimed: Any) -> datetime | None:
    """Seconds since 1970, as OpenID Connect gives instants; None for what is none."""
    if isinstance(claimed, bool) or not isinstance(claimed, int | float):
        return None
    try:
        return datetime.fromtimestamp(claimed, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _reason(error: jwt.InvalidTokenError) -> str:
    """What is wrong, without a word of the token itself."""
    reasons = {
        jwt.ExpiredSignatureError: "expired",
        jwt.ImmatureSignatureError: "not-yet-valid",
        jwt.InvalidAudienceError: "audience",
        jwt.InvalidIssuerError: "issuer",
        jwt.InvalidAlgorithmError: "algorithm",
        jwt.InvalidSignatureError: "signature",
        jwt.MissingRequiredClaimError: "claims",
    }
    return reasons.get(type(error), "malformed")


class Keys:
    """The issuer's public keys by their ids."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.oidc_issuer
        self._production = settings.production
        self._http = httpx.AsyncClient(timeout=settings.command_timeout, follow_redirects=False)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, kid: str | None) -> jwt.PyJWK:
        """The key with this id. Raises Unauthenticated (`key`), Unavailable."""
        if kid is None:
            raise Unauthenticated("key")
        at = time.monotonic()
        wanted = kid not in self._keys or at - self._fetched > FRESH
        if wanted and (not self._keys or at - self._tried > ASK_AGAIN):
            with suppress(Unavailable):  # while the issuer is away, the keys we have go on working
                await self.fetch()
        if kid in self._keys:
            return self._keys[kid]
        raise self._away() if self._fetched < self._tried else Unauthenticated("key")

    async def fetch(self) -> None:
        """Ask the issuer; who asks while somebody does shares the outcome. Raises Unavailable,
        ProductionRefused."""
        asked = time.monotonic()
        async with self._fetching:
            if self._tried > asked:
                if self._fetched < self._tried:
                    raise self._away()
                return
            try:
                about = await self._get(f"{self._issuer}/.well-known/openid-configuration")
                if about.get(LOCAL_ISSUER) and self._production:
                    security_log.record(Kind.PRODUCTION, "refused")
                    raise ProductionRefused(f"{self._issuer} is the local issuer of made-up people")
                found = jwt.PyJWKSet.from_dict(await self._get(about["jwks_uri"]))
            except (httpx.HTTPError, ValueError, KeyError, jwt.PyJWKSetError) as error:
                self._tried = time.monotonic()
                raise self._away() from error
            self._keys = {key.key_id: key for key in found.keys if key.key_id}
            self._fetched = self._tried = time.monotonic()

    @staticmethod
    def _away() -> Unavailable:
        return Unavailable("无法核对身份 / The issuer of tokens cannot be reached")

    async def _get(self, url: str) -> dict[str, Any]:
        answer = await self._http.get(url)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
