"""The local issuer: an OpenID Connect issuer that gives anybody the token of a made-up person.

For trying things out and for tests. Its discovery document says what it is, and a process that is told it
runs in production refuses to trust it.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import get_default_algorithms
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from shared.http.identity import LOCAL_ISSUER
from shared.local.people import PATH, NoToken, Person
from shared.model.ids import new_id
from shared.model.roles import Role

SECONDS = 12 * 3600
"""For how long a token is good."""


@dataclass(frozen=True)
class SigningKey:
    """What tokens are signed with."""

    private: Any
    algorithm: str
    kid: str

    @classmethod
    def kept_in(cls, file: Path) -> "SigningKey":
        """The key in a file, made when there is none."""
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            made = ec.generate_private_key(ec.SECP256R1())
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        private = load_pem_private_key(file.read_bytes(), None)
        public: dict[str, Any] = get_default_algorithms()["ES256"].to_jwk(private.public_key(), as_dict=True)
        return cls(private, "ES256", public["x"][:16])

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half."""
        algorithm = get_default_algorithms()[self.algorithm]
        public: dict[str, Any] = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        return public | {"kid": self.kid, "use": "sig", "alg": self.algorithm}


class LocalIssuer:
    """Signs with a key that lies in `key_file`. `url` is the issuer's name."""

    def __init__(self, url: str, key_file: Path, audience: str) -> None:
        self.url = url
        self.audience = audience
        self.key = SigningKey.kept_in(key_file)

    def token(self, person: Person, **changes: Any) -> str:
        """A signed token; `changes` replace claims, None takes one out."""
        at = int(time.time())
        standard = {"iss": self.url, "aud": self.audience, "iat": at, "exp": at + SECONDS, "jti": new_id()}
        standard["auth_time"] = at - person.signed_in
        claims = {k: v for k, v in (standard | person.claims() | changes).items() if v is not None}
        return jwt.encode(
            claims, self.key.private, algorithm=self.key.algorithm, headers={"kid": self.key.kid}
        )

    def app(self) -> Starlette:
        """Discovery, keys, and the token endpoint."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/jwks", self._jwks),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _discovery(self, _: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/jwks",
                "token_endpoint": f"{self.url}/token",
                "grant_types_supported": ["client_credentials"],
                "id_token_signing_alg_values_supported": [self.key.algorithm],
                "claims_supported": ["sub", "roles", "phone_number", "phone_number_verified", "auth_time"],
                LOCAL_ISSUER: True,
            }
        )

    async def _jwks(self, _: Request) -> JSONResponse:
        return JSONResponse({"keys": [self.key.jwk]})

    async def _token(self, request: Request) -> JSONResponse:
        """A token for whoever the form describes; without a role, for another city system.

        `max_age`: whoever signed in longer ago has to sign in again, which made-up people do at once.
        """
        given = dict(parse_qsl((await request.body()).decode()))
        if given.pop("grant_type", "") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        client = given.pop("client_id", "")
        given.pop("client_secret", None)
        max_age = given.pop("max_age", "")
        try:
            person = Person.model_validate({"role": Role.SYSTEM, "subject": client or None} | given)
            if max_age.isdigit() and person.signed_in > int(max_age):
                person.signed_in = 0
            token = self.token(person)
        except (ValidationError, LookupError) as error:
            return JSONResponse({"error": "invalid_request", "error_description": str(error)}, 400)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": SECONDS})


async def fetch(platform_url: str, person: Person) -> str:
    """A token for a made-up person from a running platform. Raises NoToken, httpx.TransportError."""
    form = {"grant_type": "client_credentials"} | person.model_dump(exclude_none=True)
    async with httpx.AsyncClient(timeout=10) as http:
        answer = await http.post(f"{platform_url}{PATH}/token", data=form)
    if answer.status_code != 200:
        raise NoToken(f"本地签发服务未给出令牌 / the local issuer gave no token: {answer.text}")
    return str(answer.json()["access_token"])
