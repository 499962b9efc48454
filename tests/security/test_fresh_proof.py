"""What cannot be undone asks for who has just signed in: a phone that was left unlocked, or a token that was
taken, erases nobody. Every route that erases is tried.
"""

from typing import Any

import httpx

from jinguo.access import routes
from jinguo.issuer import Person
from shared.http.identity import Role
from shared.http.proofs import FRESH
from tests.kit.issuing import Issuing
from tests.kit.problems import problem
from tests.kit.running import SIGNING, a_campaign, a_form, a_request

PHONE = "13857009876"
ERASING = [(method, path, rule) for method, path, rule in routes() if path.endswith("/erase")]
STALE = int(FRESH.total_seconds()) + 60


def token(issuer: Issuing, role: Role, **changes: Any) -> dict[str, str]:
    person = Person(role=role, subject="holder", phone=f"+86{PHONE}")
    return {"Authorization": f"Bearer {issuer.token(person, **changes)}"}


async def records(http: httpx.AsyncClient, issuer: Issuing) -> dict[str, str]:
    """The ids that routes which erase may take: each of a record that the holder has."""
    hers = token(issuer, Role.RESIDENT)
    asked = await http.post("/referrals/referrals", json=a_request(phone=PHONE), headers=hers)
    opened = await http.post("/pledges/campaigns", json=a_campaign(), headers=issuer.bearer())
    path = f"/pledges/campaigns/{opened.json()['id']}/pledges"
    signed = await http.post(path, json=a_form(1) | {"phone": PHONE}, headers=SIGNING)
    return {"referral_id": asked.json()["id"], "pledge_id": signed.json()["id"]}


async def test_who_signed_in_long_ago_or_never_says_when_erases_nothing(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    ids = await records(http, issuer)
    tried = 0
    for _, path, rule in ERASING:
        assert rule
        real = path.format(**ids)
        for role in sorted(rule.roles) or [Role.RESIDENT]:
            for stale in (
                token(issuer, role, auth_time=None),
                token(issuer, role, auth_time="just now"),
                token(issuer, role, auth_time=True),
                {"Authorization": f"Bearer {issuer.token(signed_in(role, STALE))}"},
            ):
                answer = await http.post(real, headers=stale)
                assert (answer.status_code, problem(answer)) == (401, "sign-in-again"), real
                assert 'error="insufficient_user_authentication"' in answer.headers["WWW-Authenticate"]
                assert 'max_age="300"' in answer.headers["WWW-Authenticate"]
                tried += 1
    assert tried >= 4 * 6
    hers = token(issuer, Role.RESIDENT)
    kept = (await http.get(f"/referrals/referrals/{ids['referral_id']}", headers=hers)).json()
    assert (kept["state"], kept["name"]) == ("requested", "周桂花")
    assert (await http.get(f"/pledges/signings/{ids['pledge_id']}")).json()["state"] == "pending"
    for _, path, _ in ERASING:  # and who has just signed in erases
        assert (await http.post(path.format(**ids), headers=token(issuer, Role.RESIDENT))).is_success, path


def signed_in(role: Role, ago: int) -> Person:
    return Person(role=role, subject="holder", phone=f"+86{PHONE}", signed_in=ago)


async def test_the_key_of_a_form_comes_with_the_request_and_needs_no_login(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    path = f"/pledges/signings/{(await records(http, issuer))['pledge_id']}/erase"
    long_ago = {"Authorization": f"Bearer {issuer.token(signed_in(Role.RESIDENT, STALE))}"}
    wrong = {"Signing-Key": "another-key-than-was-chosen"}
    refused = await http.post(path, headers=long_ago | wrong)  # nor does a key that is none freshen a login
    assert (refused.status_code, problem(refused)) == (403, "not-the-signer")
    assert (await http.post(path, headers=long_ago | SIGNING)).is_success


async def test_the_issuer_lets_whoever_is_told_so_sign_in_again(
    http: httpx.AsyncClient, issuer: Issuing
) -> None:
    """As RFC 9470 has it: the answer says `max_age`, the client takes it to the issuer."""
    form = signed_in(Role.RESIDENT, STALE).model_dump(exclude_none=True) | {
        "grant_type": "client_credentials"
    }
    async with httpx.AsyncClient(base_url=issuer.url) as client:
        old = (await client.post("/token", data=form)).json()["access_token"]
        refused = await http.post("/referrals/me/erase", headers={"Authorization": f"Bearer {old}"})
        again = form | {"max_age": refused.json()["max_age"]}
        new = (await client.post("/token", data=again)).json()["access_token"]
    assert (await http.post("/referrals/me/erase", headers={"Authorization": f"Bearer {new}"})).is_success
