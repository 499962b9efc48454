"""Each list of the pledges' documents, filled by their rules: none grows without end."""

from datetime import UTC, datetime, timedelta

import pytest

from services.pledges.domain.campaign import MOST_TEXTS, Campaign
from services.pledges.domain.chain import COVERAGE_STEPS, HOUSEHOLD_STEPS, Chain
from services.pledges.domain.pledge import CODES_KNOWN, Pledge
from shared.contracts.pledges import PledgeSigned, SignerRole
from shared.model.problems import Full, TooManyRequests
from tests.kit.problems import problem
from tests.services.pledges.town import Town

NOW = datetime(2020, 3, 8, 4, tzinfo=UTC)


def test_a_campaign_has_a_hundred_texts_at_most() -> None:
    campaign = Campaign.opened("公筷公勺", "我家承诺", NOW, NOW + timedelta(days=30), NOW)
    for _ in range(MOST_TEXTS - 1):
        campaign.revise("诺" * 4000, NOW)
        campaign.check_bounds()
    campaign.revise("多了一版", NOW)
    with pytest.raises(Full) as refused:
        campaign.check_bounds()
    assert refused.value.facts == {"what": "texts", "most": 100}


def test_a_chain_that_all_households_joined_for_every_text_is_within_its_bounds() -> None:
    signed = PledgeSigned(
        division="330802005001",
        pledge_id="p",
        campaign_id="c",
        chain_id="c:330802005001",
        text_version=1,
        serial=1,
        signer="s",
        role=SignerRole.HOSTESS,
        members=3,
        day=NOW.date(),
    )
    chain = Chain.begun(signed)
    for text_version in range(1, MOST_TEXTS + 1):
        for _ in range(chain.households if text_version == 1 else 1):
            chain.lengthen(signed.model_copy(update={"text_version": text_version}))
    assert chain.households_steps == list(HOUSEHOLD_STEPS)
    assert chain.coverage_steps == list(COVERAGE_STEPS)
    assert len(chain.milestone_days) == len(HOUSEHOLD_STEPS) + len(COVERAGE_STEPS)
    assert len(chain.by_text) == MOST_TEXTS
    chain.check_bounds()


def test_of_the_codes_sent_for_a_form_as_many_are_remembered_as_the_limits_look_back_at() -> None:
    pledge = Pledge(
        campaign_id="c",
        text_version=1,
        chain_id="c:330802005001",
        division="330802005001",
        signer="s",
        phone_key="k",
        identities=["a", "b"],
        role=SignerRole.HOSTESS,
        members=3,
        created_at=NOW,
    )
    sent = refused = 0
    for hour in range(24 * 10):
        try:
            pledge.send_code("123456", "key", NOW + timedelta(hours=hour))
            sent += 1
        except TooManyRequests:
            refused += 1
        pledge.check_bounds()
    assert (sent, refused) == (50, 190)  # five a day for ten days
    assert len(pledge.code_times) == CODES_KNOWN


async def test_a_campaign_that_is_changed_all_day_with_keys_goes_on_until_its_texts_are_full(
    town: Town,
) -> None:
    """After 51 texts of 4,000 characters, each with a key, every change of it was refused for a day."""
    campaign = await town.campaign()
    path, text = f"/campaigns/{campaign}/texts", "诺" * 3990
    answers = [await town.post(path, {"text": f"{text}{n}"}, key=f"k{n}") for n in range(MOST_TEXTS - 1)]
    assert {answer.status_code for answer in answers} == {201}
    refused = await town.post(path, {"text": text}, key="one-more")
    assert (refused.status_code, problem(refused)) == (409, "full")
    assert (refused.json()["what"], refused.json()["most"]) == ("texts", MOST_TEXTS)
    again = await town.post(path, {"text": f"{text}0"}, key="k0")
    assert (again.status_code, again.json()) == (201, answers[0].json())
    late = await town.post(path, {"text": f"{text}90"}, key="k90")  # all texts: too large to be kept
    assert (late.status_code, problem(late), late.json()["done"]) == (409, "answer-not-kept", 201)
    assert (await town.get(f"/campaigns/{campaign}"))["text_version"] == MOST_TEXTS
