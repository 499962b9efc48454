"""A phone stands for who proved it by its code, and only for as long as operators keep a number back."""

from datetime import timedelta

from shared.http.identity import Role
from shared.http.proofs import PHONE_TRUSTED
from shared.model.clock import moved
from tests.kit.issuing import Issuing
from tests.kit.problems import problem
from tests.services.pledges.town import Town

PHONE = "13857009876"
ANOTHER_KEY = {"Signing-Key": "another-key-than-was-chosen"}


async def test_a_phone_stands_for_who_proved_it_for_ninety_days(town: Town, issuer: Issuing) -> None:
    """Then it may be somebody else's: she finds nothing, and does nothing, without the form's own key."""
    pledge = (await town.counted(await town.campaign(), phone=PHONE))["id"]
    hers = issuer.bearer(Role.RESIDENT, None, phone=f"+86{PHONE}")
    await town.sign(await town.campaign(), phone=PHONE, name="别人")

    async def held() -> list[str]:
        found = (await town.http.get("/pledges/me", headers=hers)).json()
        return [held["records"]["pledges"][0]["id"] for held in found]

    assert await held() == [pledge]  # and not what somebody typed and nobody has proven
    withdraw = f"/pledges/signings/{pledge}/withdraw"
    with moved(PHONE_TRUSTED + timedelta(minutes=1)):
        assert await held() == []
        refused = await town.http.post(withdraw, json={}, headers=hers | ANOTHER_KEY)
        assert (refused.status_code, problem(refused)) == (403, "not-the-signer")
    with moved(PHONE_TRUSTED - timedelta(minutes=5)):
        assert await held() == [pledge]
        assert (await town.http.post(withdraw, json={}, headers=hers | ANOTHER_KEY)).is_success
