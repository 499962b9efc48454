"""Who signs for another household learns nothing about it; that household learns that somebody tried."""

from datetime import timedelta
from typing import Any

from shared.contracts.pledges import PledgeContested
from shared.http.identity import Role
from shared.model.clock import moved
from tests.kit.problems import problem
from tests.services.pledges.town import Town

STRANGER = {"Signing-Key": "of-a-stranger-who-types-a-door"}
TELLING = ("serial", "certificate", "existing", "token", "pledge_id", "name")


async def tries(town: Town, campaign: str, **form: Any) -> Any:
    """A stranger hands in a form for somebody's door, and proves a phone of her own."""
    mine, town.http.headers["Signing-Key"] = town.http.headers["Signing-Key"], STRANGER["Signing-Key"]
    authorization = town.http.headers.pop("Authorization")
    try:
        pledge = await town.sign(campaign, **form)
        return await town.verify(pledge["id"])
    finally:
        town.http.headers["Signing-Key"], town.http.headers["Authorization"] = mine, authorization


async def test_a_stranger_learns_that_a_household_is_counted_and_nothing_more(town: Town) -> None:
    campaign = await town.campaign()
    holder = await town.counted(campaign, door="3幢201室")
    answer = await tries(town, campaign, door="3-201", name="李红")
    assert (answer.status_code, problem(answer)) == (409, "household-counted")
    assert not set(TELLING) & answer.json().keys()
    for telling in (holder["id"], holder["certificate"].rpartition("/")[2]):
        assert telling not in answer.text


async def test_the_form_itself_is_answered_alike_whether_the_household_is_counted_or_not(town: Town) -> None:
    campaign = await town.campaign()
    await town.counted(campaign, door="3幢201室")
    taken, free = await town.sign(campaign, door="3-201"), await town.sign(campaign, door="3-202")
    apart = {"id", "code_expires_at"}
    assert {n: v for n, v in taken.items() if n not in apart} == {
        n: v for n, v in free.items() if n not in apart
    }


async def test_the_holder_is_told_once_a_day_that_somebody_tried(town: Town) -> None:
    campaign = await town.campaign()
    holder = await town.counted(campaign, door="3幢201室")
    for name in ("李红", "赵敏"):
        await tries(town, campaign, door="3-201", name=name)
    with moved(timedelta(days=1)):
        await tries(town, campaign, door="3-201", name="孙丽")
    told = await town.events(PledgeContested.type)
    assert [event["pledge_id"] for event in told] == [holder["id"]] * 2
    assert told[0]["day"] != told[1]["day"]
    assert all(set(event) == {"division", "pledge_id", "campaign_id", "signer", "day"} for event in told)


async def test_who_proves_to_be_the_holder_is_told_which_place_is_theirs(town: Town) -> None:
    campaign = await town.campaign()
    holder = await town.counted(campaign, door="3幢201室")
    phone = town.forms[holder["id"]]["phone"]
    by_key = await town.verify((await town.sign(campaign, door="3-201"))["id"])
    by_code = await tries(town, campaign, door="3-201", phone=phone)
    again = await town.sign(campaign, door="3-201")
    account = town.issuer.bearer(Role.RESIDENT, None, phone=f"+86{phone}")
    by_account = await town.post(
        f"/signings/{again['id']}/verify", {"code": await town.code(again["id"])}, **account
    )
    for answer in (by_key, by_code, by_account):
        assert (answer.json()["serial"], answer.json()["certificate"]) == (1, holder["certificate"])
    assert await town.events(PledgeContested.type) == []


async def test_nobody_but_who_handed_the_form_in_uses_up_the_tries_of_its_code(town: Town) -> None:
    pledge = await town.sign(await town.campaign())
    path, code = f"/signings/{pledge['id']}/verify", await town.code(pledge["id"])
    for headers in (STRANGER, STRANGER | town.issuer.bearer(Role.RESIDENT, None, phone="+8613012345678")):
        for guess in ("000000", code):
            answer = await town.post(path, {"code": guess}, **headers)
            assert (answer.status_code, problem(answer)) == (403, "not-the-signer")
    assert (await town.verify(pledge["id"])).json()["state"] == "counted"
