"""What a campaign's end does to forms that are not proven: nothing hangs, and no code in time is in vain."""

from datetime import timedelta

from services.pledges.app import service
from shared.contracts.pledges import PledgeDropped
from shared.model.clock import moved, now
from shared.store.deadlines import Deadlines
from tests.kit.problems import problem
from tests.services.pledges.town import Town


async def closing_in(town: Town, minutes: int) -> str:
    return await town.campaign(closes_at=(now() + timedelta(minutes=minutes)).isoformat())


async def state(town: Town, pledge: str) -> tuple[str, str | None]:
    view = await town.get(f"/signings/{pledge}")
    return view["state"], view["queue"]


async def due(town: Town) -> int:
    """Act on every deadline that has come. How many documents changed."""
    return await Deadlines(town.store, service.deadlines).once()


async def test_a_code_that_was_sent_before_the_end_counts_for_its_ten_minutes(town: Town) -> None:
    campaign = await closing_in(town, 5)
    in_time, late = await town.sign(campaign), await town.sign(campaign)
    with moved(timedelta(minutes=9)):
        assert (await town.verify(in_time["id"])).json()["state"] == "counted"
    with moved(timedelta(minutes=11)):
        assert problem(await town.verify(late["id"])) == "code-expired"


async def test_what_is_unproven_after_that_ends_by_itself_and_its_signer_is_told(town: Town) -> None:
    campaign, other = await closing_in(town, 5), await town.campaign()
    waiting, counted = await town.sign(campaign), await town.counted(campaign)
    elsewhere = await town.sign(other)
    with moved(timedelta(minutes=14)):
        assert await due(town) == 0
    with moved(timedelta(minutes=16)):
        await due(town)
        assert await state(town, waiting["id"]) == ("lapsed", None)
        assert problem(await town.verify(waiting["id"])) == "illegal-move"
    assert await state(town, counted["id"]) == ("counted", "household")
    assert await state(town, elsewhere["id"]) == ("pending", "signer")
    [dropped] = await town.events(PledgeDropped.type)
    assert (dropped["pledge_id"], dropped["state"]) == (waiting["id"], "lapsed")


async def test_a_window_that_is_moved_moves_the_end_of_every_form_in_it(town: Town) -> None:
    campaign = await closing_in(town, 5)
    pledge = await town.sign(campaign)

    async def close_in(minutes: int) -> None:
        window = {"opens_at": "2020-03-08T00:00:00+08:00"}
        window["closes_at"] = (now() + timedelta(minutes=minutes)).isoformat()
        answer = await town.http.put(f"/pledges/campaigns/{campaign}/window", json=window)
        assert answer.status_code == 200

    await close_in(60)  # later
    with moved(timedelta(minutes=16)):
        assert await due(town) == 0
        assert (await town.post(f"/signings/{pledge['id']}/code")).status_code == 200
    with moved(timedelta(minutes=20)):
        await close_in(-60)  # earlier: at once, but for the code of the last minutes
        await due(town)
        assert await state(town, pledge["id"]) == ("pending", "signer")
        assert problem(await town.post(f"/signings/{pledge['id']}/code")) == "outside-window"
    with moved(timedelta(minutes=31)):
        await due(town)
        assert await state(town, pledge["id"]) == ("lapsed", None)
    with moved(timedelta(minutes=40)):
        await close_in(60)  # opened again: who lapsed signs again
        again = await town.counted(campaign, door="1-1")
        assert again["serial"] == 1
