"""Messages: one per person and event, in two languages, and nothing personal in clear."""

from datetime import timedelta
from typing import Any, cast

import pytest

from jinguo.events import declared
from services.notifier.consumers import messages
from services.notifier.domain.messages import contact_key
from services.notifier.templates import TEMPLATES, template_of
from shared.city.departments import Department
from shared.contracts.pledges import (
    ChainMilestoneReached,
    HouseholdCheckedIn,
    MilestoneKind,
    PledgeInvalidated,
    TalkMoved,
)
from shared.contracts.referrals import ReferralRequested
from shared.http.identity import Role
from shared.model.clock import moved
from shared.settings import use
from tests.kit.waiting import eventually
from tests.services.notifier.desk import DAY, KECHENG, PHONES, Desk, code_issued, signed

CODE, PHONE = "C0DE-7F3A-Q", "13857012345"


def check_in(streak: int, signer: str = "p1") -> HouseholdCheckedIn:
    return HouseholdCheckedIn(
        division=KECHENG, pledge_id="pledge-1", campaign_id="c1", signer=signer, day=DAY, streak=streak
    )


def invalidated(reason: str = "fraud") -> PledgeInvalidated:
    facts = signed().model_dump(exclude={"role", "members"})
    return PledgeInvalidated(**facts, reason=reason, signed_day=DAY)


def test_every_event_is_told_to_somebody() -> None:
    """But the notifier's own: they tell others what it did."""
    published = {event for event in declared() if event.source != "notifier"}
    assert published == set(messages.handlers)
    assert {event.event_name for event in published} == {name.split("/")[0] for name in TEMPLATES}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_says_the_same_facts_in_both_languages(name: str) -> None:
    template = TEMPLATES[name]
    facts = dict.fromkeys(template.names, 7)
    assert not template.names & {"name", "phone", "reason", "title"}
    for language in ("zh", "en"):
        title, body = template.text(cast(Any, language), facts)
        assert title and body and "{" not in title + body


def test_a_variant_has_words_of_its_own() -> None:
    talk: dict[str, Any] = {
        "talk_id": "t",
        "team_id": "t",
        "campaign_id": "c",
        "starts_at": "2026-03-08T02:00Z",
    }
    assert template_of(TalkMoved(**talk, state="cancelled")) == "talk.moved/cancelled"
    assert template_of(TalkMoved(**talk, state="scheduled")) == "talk.moved"


async def inbox(desk: Desk, person: str, **query: Any) -> Any:
    """What somebody finds in their own inbox."""
    return await desk.get(f"/inbox/{person}", desk.resident(PHONES[person]), **query)


async def test_an_inbox_opens_for_its_person_alone(desk: Desk) -> None:
    await desk.publish(("pledge-1", signed("p1")))
    await desk.consumed()
    for path in ("/notifier/inbox/p1", "/notifier/inbox/nobody", "/notifier/inbox/org:330802"):
        answer = await desk.http.get(path, headers=desk.resident(PHONES["p2"]))
        assert answer.status_code == 404, path
    unproven = desk.issuer.bearer(Role.RESIDENT, None)
    assert (await desk.http.get("/notifier/inboxes", headers=unproven)).json() == []
    assert (await desk.http.get("/notifier/inbox/p1", headers=desk.issuer.bearer())).status_code == 403
    assert (await desk.http.get("/notifier/inbox/p1")).status_code == 401
    elsewhere = desk.issuer.bearer(Role.COUNTY_OFFICER, "衢江")
    assert (await desk.http.get("/notifier/offices/330802/inbox", headers=elsewhere)).status_code == 403


async def test_the_signer_reads_it_in_either_language(desk: Desk) -> None:
    await desk.publish(("pledge-1", signed("p1")))
    await desk.consumed()

    [message] = (await inbox(desk, "p1"))["items"]
    assert message["kind"] == "pledge.signed"
    assert "柯城区" in message["text"] and "第 128 户" in message["text"]
    [english] = (await inbox(desk, "p1", lang="en"))["items"]
    assert "number 128" in english["text"]


async def test_county_officers_get_milestones_and_invalidations_without_the_reason(desk: Desk) -> None:
    milestone = ChainMilestoneReached(
        division=KECHENG,
        chain_id="k",
        campaign_id="c1",
        kind=MilestoneKind.COVERAGE,
        value=20,
        counted=12,
        day=DAY,
    )
    await desk.publish(("chain-1", milestone), ("pledge-1", invalidated("王小明 signed twice")))
    await desk.consumed()

    officers = (await desk.get("/offices/330802/inbox", desk.issuer.bearer(Role.COUNTY_OFFICER, "柯城")))[
        "items"
    ]
    assert {m["kind"] for m in officers} == {"chain.milestone-reached/coverage", "pledge.invalidated"}
    [mine] = (await inbox(desk, "p1"))["items"]
    assert mine["kind"] == "pledge.invalidated"
    assert "王小明" not in str(officers) + str(mine)
    assert (await desk.get("/offices/330803/inbox", desk.issuer.bearer()))["items"] == []


async def test_one_message_per_person_and_event_whatever_is_read_again(desk: Desk) -> None:
    await desk.publish(*[("pledge-1", check_in(streak)) for streak in range(1, 6)], ("x", signed("p2")))
    await desk.consumed()
    found = await inbox(desk, "p1")
    first = found["items"][0]["id"]
    await desk.http.post(f"/notifier/inbox/p1/messages/{first}/read", headers=desk.resident(PHONES["p1"]))
    before = await inbox(desk, "p1")

    await desk.forget_cursors("notifier.messages")
    await desk.publish(("pledge-1", check_in(6)))  # makes the group notice that its cursors moved
    await eventually(lambda: _count(desk, "p1", 6))
    await desk.consumed()

    after = await inbox(desk, "p1")
    assert len(after["items"]) == 6
    assert after["items"][1:] == before["items"]
    assert after["unread"] == before["unread"] + 1 == 5
    batches = await desk.store.database["batches"].count_documents(
        {"group": "notifier.messages", "parts.after": 0}
    )
    assert batches >= 2  # it was read from the start again indeed


async def _count(desk: Desk, recipient: str, expected: int) -> bool:
    return len((await inbox(desk, recipient))["items"]) == expected


async def test_an_inbox_is_paged_newest_first(desk: Desk) -> None:
    await desk.publish(*[("pledge-1", check_in(streak)) for streak in range(1, 8)])
    await desk.consumed()

    pages, after = [], {}
    while True:
        page = await inbox(desk, "p1", limit=3, **after)
        pages.append([m["id"] for m in page["items"]])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert [len(page) for page in pages] == [3, 3, 1]
    flat = [message for page in pages for message in page]
    assert len(set(flat)) == 7
    whole = await inbox(desk, "p1")
    assert flat == [m["id"] for m in whole["items"]]
    assert [m["at"] for m in whole["items"]] == sorted((m["at"] for m in whole["items"]), reverse=True)


async def test_reading_is_marked_once_and_only_in_ones_own_inbox(desk: Desk) -> None:
    await desk.publish(("pledge-1", signed("p1")))
    await desk.consumed()
    [message] = (await inbox(desk, "p1"))["items"]
    path = f"/notifier/inbox/{{}}/messages/{message['id']}/read"

    mine = desk.resident(PHONES["p1"])
    assert (await desk.http.post(path.format("p2"), headers=mine)).status_code == 404
    assert (await desk.http.post(path.format("p2"), headers=desk.resident(PHONES["p2"]))).status_code == 404
    key = {"Idempotency-Key": "k1"} | mine
    first = await desk.http.post(path.format("p1"), headers=key)
    again = await desk.http.post(path.format("p1"), headers=key)
    later = await desk.http.post(path.format("p1"), headers=mine)
    assert first.status_code == 200 and first.json()["read_at"]
    assert first.json() == again.json() == later.json()
    assert (await inbox(desk, "p1"))["unread"] == 0
    theirs = desk.resident(PHONES["p2"])
    answer = await desk.http.get("/notifier/inbox/p2", params={"after": message["id"]}, headers=theirs)
    assert answer.status_code == 422


async def test_the_cursor_of_another_inbox_shows_ones_own_messages(desk: Desk) -> None:
    await desk.publish(("pledge-1", signed("p1")), ("pledge-2", signed("p2")), ("pledge-3", signed("p1")))
    await desk.consumed()
    newest = await inbox(desk, "p1", limit=1)
    [own] = (await inbox(desk, "p2"))["items"]
    assert (await inbox(desk, "p2", after=newest["next"]))["items"] in ([], [own])


# ── one-time codes ───────────────────────────────────────────────────────────────────────────────


async def test_a_code_reaches_the_local_page_and_is_nowhere_in_clear(desk: Desk) -> None:
    person = await desk.host.vault.new_person()
    await desk.publish(("pledge-1", code_issued(person, CODE, PHONE)))
    await desk.consumed()

    [sent] = await desk.get("/outgoing.json", pledge_id="pledge-1")
    assert sent["code"] == CODE and CODE in sent["text"]
    assert sent["to"] == "138****2345"
    assert await desk.get("/outgoing.json", pledge_id="another") == []
    page = await desk.http.get("/notifier/outgoing")
    assert CODE in page.text and PHONE not in page.text
    mine = desk.resident(PHONE)
    assert await desk.get("/inboxes", mine) == []  # anybody may have typed this phone
    await desk.publish(("pledge-1", signed(person)))
    await desk.consumed()
    assert await desk.get("/inboxes", mine) == [person]
    assert [m["kind"] for m in (await desk.get(f"/inbox/{person}", mine))["items"]] == ["pledge.signed"]

    found = await _everything(desk)
    assert "pledge-1" in found
    for secret in (CODE, PHONE, "王小明"):
        assert secret not in found


async def test_contacts_from_before_reach_nobody_until_the_events_say_what_was_proven(desk: Desk) -> None:
    """As they were stored when anybody's typing was enough, of a signer and of a patient."""
    key = contact_key(desk.host.vault.blind_index, PHONE)
    signer, patient = [await desk.host.vault.new_person() for _ in range(2)]
    old = [{"_id": person, "version": 1, "outbox": [], "phone_key": key} for person in (signer, patient)]
    await desk.store.database["contacts"].insert_many(old)
    mine = desk.resident(PHONE)
    assert await desk.get("/inboxes", mine) == []
    about = {"referral_id": "r1", "patient": patient, "department": Department.BREAST, "state": "requested"}
    await desk.publish(("r1", ReferralRequested(division="330802", day=DAY, **about)))
    await desk.publish(("pledge-1", signed(signer)))
    await desk.consumed()
    assert await desk.get("/inboxes", mine) == [signer]
    row = await desk.store.database["contacts"].find_one({"_id": patient})
    assert row and (row["phone_key"], row["account_key"]) == ("", "")


async def test_a_phone_leads_to_its_inbox_however_the_issuer_writes_it(desk: Desk) -> None:
    await desk.knows("p7", "13800000007")
    for written in ("13800000007", "+8613800000007", "+86 138 0000 0007", "(+86) 138-0000-0007"):
        mine = desk.issuer.bearer(Role.RESIDENT, None, phone=written)
        assert await desk.get("/inboxes", mine) == ["p7"], written
    assert await desk.get("/inboxes", desk.resident("13800000009")) == []


async def _everything(desk: Desk) -> str:
    texts = []
    for database in ("notifier", "log", "vault"):
        stored = desk.host.client[f"{desk.host.settings.database_prefix}_{database}"]
        for name in await stored.list_collection_names():
            texts += [repr(document) for document in await stored[name].find().to_list(None)]
    return "\n".join(texts)


async def test_a_code_vanishes_after_its_validity_and_is_not_sent_late(desk: Desk) -> None:
    person = await desk.host.vault.new_person()
    await desk.publish(("pledge-1", code_issued(person, CODE, PHONE)))
    await desk.consumed()
    assert await desk.get("/outgoing.json")

    with moved(timedelta(minutes=10)):
        assert await desk.get("/outgoing.json") == []
        assert CODE not in (await desk.http.get("/notifier/outgoing")).text
    indexes = await desk.store.database["outgoing"].index_information()
    assert indexes["expired"]["expireAfterSeconds"] == 0

    old = (await desk.archive.read(0, 1))[0].time - timedelta(minutes=11)
    await desk.publish(("pledge-2", code_issued(person, CODE, PHONE, "pledge-2")), at=old)
    await desk.consumed()
    assert await desk.store.database["outgoing"].count_documents({"pledge_id": "pledge-2"}) == 0


async def test_an_erased_persons_code_is_gone(desk: Desk) -> None:
    person = await desk.host.vault.new_person()
    await desk.publish(("pledge-1", code_issued(person, CODE, PHONE)))
    await desk.consumed()
    await desk.host.vault.erase(person)
    assert await desk.get("/outgoing.json") == []


async def test_outgoing_messages_are_not_shown_unless_the_settings_say_so(desk: Desk) -> None:
    shown = desk.host.settings
    use(shown.model_copy(update={"show_outgoing_messages": False}))
    try:
        assert (await desk.http.get("/notifier/outgoing.json")).status_code == 404
        assert (await desk.http.get("/notifier/outgoing")).status_code == 404
    finally:
        use(shown)
