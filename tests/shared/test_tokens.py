"""Tokens: whose are believed, and which are refused before anything else is looked at."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jinguo.issuer import Person
from shared.host import Host
from shared.http.identity import Identity, ProductionRefused, Role, Unauthenticated
from shared.model.problems import Unavailable
from shared.settings import Settings
from tests.kit.issuing import Issuing, issuing

OFFICER = Person(role=Role.COUNTY_OFFICER, org="柯城")


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuing]:  # one that a test may harm
    with issuing(tmp_path) as running:
        yield running


@pytest.fixture
async def identity(issuer: Issuing) -> AsyncIterator[Identity]:
    found = Identity(Settings(oidc_issuer=issuer.url))
    yield found
    await found.close()


async def refused(identity: Identity, token: str) -> str:
    """The reason a token is refused for."""
    with pytest.raises(Unauthenticated) as error:
        await identity.bearer(token)
    assert token not in str(error.value.body())
    return str(error.value.facts["reason"])


async def test_a_token_says_who_calls_and_where_they_act(identity: Identity, issuer: Issuing) -> None:
    [caller] = (await identity.bearer(issuer.token(OFFICER))).callers.values()
    assert caller.role is Role.COUNTY_OFFICER
    assert (caller.org_unit, caller.division, caller.department) == ("kecheng", "330802", None)


async def test_claims_are_found_where_the_settings_say(issuer: Issuing) -> None:
    found = Identity(Settings(oidc_issuer=issuer.url, oidc_roles_claim="realm_access.roles"))
    token = issuer.token(OFFICER, realm_access={"roles": ["coordinator", "unknown"]}, roles=None)
    assert (await found.bearer(token)).callers.keys() == {Role.COORDINATOR}
    await found.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": 1}, "expired"),
        ({"nbf": time.time() + 3600}, "not-yet-valid"),
        ({"aud": "another"}, "audience"),
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"exp": None}, "claims"),
        ({"sub": None}, "claims"),
    ],
)
async def test_a_token_for_others_or_another_time_is_refused(
    identity: Identity, issuer: Issuing, changes: dict[str, Any], reason: str
) -> None:
    assert await refused(identity, issuer.token(OFFICER, **changes)) == reason


async def test_a_clock_that_is_a_little_off_is_no_reason_to_refuse(
    identity: Identity, issuer: Issuing
) -> None:
    assert await identity.bearer(issuer.token(OFFICER, exp=time.time() - 10))
    assert await identity.bearer(issuer.token(OFFICER, nbf=time.time() + 10))


async def test_a_token_without_signature_is_refused(identity: Identity, issuer: Issuing) -> None:
    _, payload, _ = issuer.token(OFFICER).split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": issuer.kid}).encode()).decode()
    assert await refused(identity, f"{head.rstrip('=')}.{payload}.") == "algorithm"


async def test_a_public_key_used_as_a_secret_is_refused(identity: Identity, issuer: Issuing) -> None:
    public = issuer.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": issuer.kid}).encode()).decode()
    _, payload, _ = issuer.token(OFFICER).split(".")
    signed = f"{head.rstrip('=')}.{payload}"
    mac = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), hashlib.sha256)).decode().rstrip("=")
    assert await refused(identity, f"{signed}.{mac}") == "algorithm"


async def test_a_changed_or_foreign_signature_is_refused(identity: Identity, issuer: Issuing) -> None:
    head, payload, _ = issuer.token(OFFICER).split(".")
    _, _, other = issuer.token(Person(role=Role.CITY_OFFICER)).split(".")
    assert await refused(identity, f"{head}.{payload}.{other}") == "signature"
    foreign = jwt.encode(
        jwt.decode(issuer.token(OFFICER), options={"verify_signature": False}),
        ec.generate_private_key(ec.SECP256R1()),
        algorithm="ES256",
        headers={"kid": issuer.kid},
    )
    assert await refused(identity, foreign) == "signature"
    assert await refused(identity, "no token") == "malformed"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_each_accepted_algorithm_works_with_its_own_kind_of_key(
    identity: Identity, issuer: Issuing, algorithm: str
) -> None:
    keys: dict[str, Any] = {
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    issuer.rotate(keys[algorithm](), algorithm, "another")
    assert (await identity.bearer(issuer.token(OFFICER))).callers.keys() == {Role.COUNTY_OFFICER}


async def test_a_rotated_key_is_found_and_the_old_one_forgotten(
    identity: Identity, issuer: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = issuer.token(OFFICER)
    await identity.bearer(old)
    issuer.rotate(ec.generate_private_key(ec.SECP256R1()), "ES256", "new")
    monkeypatch.setattr("shared.http.identity.ASK_AGAIN", 0.0)
    assert await identity.bearer(issuer.token(Person(role=Role.CITY_OFFICER)))
    assert await refused(identity, issuer.signed_by_the_old_key(OFFICER)) == "key"


async def test_while_the_issuer_is_away_known_keys_hold_and_others_are_unavailable(
    identity: Identity, issuer: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await identity.bearer(issuer.token(OFFICER))
    monkeypatch.setattr("shared.http.identity.ASK_AGAIN", 0.0)
    issuer.stop()
    assert await identity.bearer(issuer.token(Person(role=Role.CITY_OFFICER)))
    issuer.rotate(ec.generate_private_key(ec.SECP256R1()), "ES256", "new")
    with pytest.raises(Unavailable):
        await identity.bearer(issuer.token(OFFICER))


async def test_an_issuer_that_hangs_holds_up_one_look_and_no_more(
    issuer: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Identity(Settings(oidc_issuer=issuer.url, command_timeout=0.3))
    await found.bearer(issuer.token(OFFICER))
    issuer.stop()
    asked = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", int(issuer.url.rpartition(":")[2]))
    monkeypatch.setattr("shared.http.identity.FRESH", 0.0)  # as if the keys were ten minutes old
    monkeypatch.setattr("shared.http.identity.ASK_AGAIN", 0.0)
    callers = await asyncio.gather(*(found.bearer(issuer.token(OFFICER)) for _ in range(20)))
    monkeypatch.setattr("shared.http.identity.ASK_AGAIN", 60.0)
    callers += await asyncio.gather(*(found.bearer(issuer.token(OFFICER)) for _ in range(20)))
    assert {bearer.callers[Role.COUNTY_OFFICER].division for bearer in callers} == {"330802"}
    assert asked == 1
    issuer.rotate(ec.generate_private_key(ec.SECP256R1()), "ES256", "new")
    with pytest.raises(Unavailable):  # not a wrong token: we cannot know
        await found.bearer(issuer.token(OFFICER))
    assert asked == 1
    await found.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("claimed", ["", "33", "3308", "999999", 330802, ["330802"]])
async def test_an_officer_of_a_division_that_is_none_is_no_officer(
    identity: Identity, issuer: Issuing, claimed: Any
) -> None:
    bearer = await identity.bearer(issuer.token(OFFICER, division=claimed))
    assert bearer.callers == {}
    assert bearer.lacks == {Role.COUNTY_OFFICER: "division"}


def test_production_shows_nobody_the_messages_sent() -> None:
    with pytest.raises(ProductionRefused):
        Host([], Settings(mongodb_uri="mongodb://x", production=True, show_outgoing_messages=True))


async def test_production_does_not_trust_the_local_issuer(issuer: Issuing) -> None:
    found = Identity(Settings(oidc_issuer=issuer.url, production=True))
    with pytest.raises(ProductionRefused):
        await found.check()
    await found.close()
