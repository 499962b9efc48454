"""Referrals: messages without a word of health, and a dashboard that no small group can be read from."""

from collections import defaultdict
from datetime import UTC, date, datetime
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.activities.referrals import BOARD, REFERRALS
from services.notifier.boards.hidden import LONGEST, percentile
from services.notifier.boards.small_cells import LEAST, blocks
from services.notifier.templates import TEMPLATES
from shared.city.departments import Department
from shared.city.divisions import counties
from shared.contracts import referrals
from shared.contracts.referrals import ENDED
from shared.http.identity import Role
from shared.http.proofs import account_key
from shared.model.events import Event
from shared.model.roles import Account
from tests.services.notifier.desk import Desk, viewed

DAY = date(2020, 3, 8)
HEALTH = (
    *("乳", "甲状腺", "头颈", "肿瘤", "癌", "床", "院", "会诊", "病", "医", "科室", "健康", "诊"),
    *(
        "breast",
        "thyroid",
        "tumour",
        "cancer",
        "bed",
        "ward",
        "hospital",
        "consult",
        "health",
        "clinic",
    ),
)
COUNTIES = sorted(county.code for county in counties())


def step(kind: Any, number: int, was: str | None, state: str, county: str, **facts: Any) -> tuple[str, Event]:
    about = {"referral_id": f"r{number}", "patient": f"p{number}", "day": DAY, "division": county}
    facts = about | {"department": Department.BREAST} | facts
    return f"r{number}", kind(was=was, state=state, **facts)


@pytest.mark.parametrize("name", [one.name for one in REFERRALS.says])
def test_a_message_about_a_referral_says_nothing_about_health(name: str) -> None:
    template = TEMPLATES[name]
    for text in (*template.zh, *template.en):
        shown = text
        for fact in template.names:
            shown = shown.replace(f"{{{fact}}}", "")
        assert not [word for word in HEALTH if word in shown.lower()]
    assert template.names <= {"day", "expires_at", "starts_at", "beds"}  # no department, no state


def account(desk: Desk, subject: str) -> str:
    """What services know an account by."""
    return account_key(desk.host.vault.blind_index, Account(id=subject))


def bearer(desk: Desk, role: Role, **scope: Any) -> dict[str, str]:
    return desk.issuer.bearer(role, None, **scope)


async def inbox(desk: Desk, path: str, headers: dict[str, str]) -> list[str]:
    answer = await desk.http.get(f"/notifier{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    messages = answer.json()["items"]
    assert {message["kind"] for message in messages} <= {"request"}  # no word of what it is about
    return [message["title"] for message in messages]


async def test_patient_coordinator_and_department_are_told_and_nobody_else(desk: Desk) -> None:
    who = {"county": COUNTIES[0], "patient": await desk.host.vault.new_person()}
    await desk.publish(
        step(referrals.ReferralRequested, 1, None, "requested", **who, account=account(desk, "patient-1")),
        step(referrals.ReferralTriaged, 1, "requested", "triaged", **who),
    )
    await desk.consumed()

    patient = bearer(desk, Role.RESIDENT, subject="patient-1")
    assert await inbox(desk, f"/inbox/{who['patient']}", patient) == [
        "申请已转交",
        "申请已收到",
    ]
    stranger = bearer(desk, Role.RESIDENT, phone="+8613900000000", subject="stranger")
    assert (await desk.http.get(f"/notifier/inbox/{who['patient']}", headers=stranger)).status_code == 404
    coordinator = bearer(desk, Role.COORDINATOR)
    assert await inbox(desk, "/desks/coordinator/inbox", coordinator) == [
        "申请已转交",
        "申请已收到",
    ]
    breast, thyroid = (bearer(desk, Role.CLINICIAN, department=name) for name in Department)
    assert await inbox(desk, "/desks/breast/inbox", breast) == ["申请已转交"]
    assert await inbox(desk, "/desks/head-neck-thyroid/inbox", thyroid) == []
    for desk_name in ("breast", "coordinator", "data-officer"):
        answer = await desk.http.get(f"/notifier/desks/{desk_name}/inbox", headers=thyroid)
        assert answer.status_code == 403
    answer = await desk.http.get("/notifier/desks/breast/inbox", headers=breast)
    message = answer.json()["items"][0]["id"]
    elsewhere = desk.issuer.bearer(Role.COUNTY_OFFICER, "江山")
    for who_else, where, status in (
        (thyroid, "desks/breast/inbox", 403),
        (thyroid, "desks/head-neck-thyroid/inbox", 404),  # it stands in another inbox
        (coordinator, "desks/coordinator/inbox", 404),
        (elsewhere, "offices/330802/inbox", 403),
        (elsewhere, "offices/330881/inbox", 404),
        (stranger, f"inbox/{who['patient']}", 404),
    ):
        path = f"/notifier/{where}/messages/{message}/read"
        assert (await desk.http.post(path, headers=who_else)).status_code == status, path


async def test_a_patient_who_was_erased_is_known_by_her_account_no_more(desk: Desk) -> None:
    who = {"county": COUNTIES[0], "patient": await desk.host.vault.new_person()}
    hers = {"account": account(desk, "patient-1")}
    await desk.publish(step(referrals.ReferralRequested, 1, None, "requested", **who, **hers))
    await desk.consumed()
    patient = bearer(desk, Role.RESIDENT, subject="patient-1")
    assert (await desk.http.get("/notifier/inboxes", headers=patient)).json() == [who["patient"]]
    erased = {"referral_id": "r1", "department": Department.BREAST, "day": DAY}
    await desk.publish(("r1", referrals.PatientErased(patient=who["patient"], **erased)))
    await desk.consumed()
    assert (await desk.http.get("/notifier/inboxes", headers=patient)).json() == []


# ── the dashboard ────────────────────────────────────────────────────────────────────────────────────


def many(
    county: str, department: Department, people: int, start: int, waited: int
) -> list[tuple[str, Event]]:
    """So many patients who asked, were accepted and got a bed after `waited` days."""
    found = []
    for number in range(start, start + people):
        at: dict[str, Any] = {"county": county, "department": department}
        offer = {"waited_days": waited + number % 3, "expires_at": "2020-03-09T00:00:00Z"}
        found += [
            step(referrals.ReferralRequested, number, None, "requested", **at),
            step(referrals.ReferralTriaged, number, "requested", "triaged", **at),
            step(referrals.ReferralAccepted, number, "triaged", "accepted", **at),
            step(referrals.ReferralBedOffered, number, "accepted", "bed_offered", **at, **offer),
        ]
    return found


async def shown(desk: Desk) -> Any:
    headers = bearer(desk, Role.COORDINATOR)
    answer = await desk.http.get("/notifier/dashboards/referrals", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_dashboard_counts_queue_waiting_time_lapses_and_outcomes(desk: Desk) -> None:
    breast, thyroid = Department
    first = many(COUNTIES[0], breast, 8, 0, 10) + many(COUNTIES[1], thyroid, 6, 8, 20)
    few = many(COUNTIES[2], breast, 2, 14, 1)
    await desk.publish(*first, *few)
    home = dict(county=COUNTIES[0], department=breast)
    lapsed = [step(referrals.ReferralOfferLapsed, n, "bed_offered", "accepted", **home) for n in range(5)]
    done = [
        event
        for n in range(5, 8)
        for event in (
            step(referrals.ReferralAdmitted, n, "bed_offered", "admitted", **home),
            step(referrals.ReferralCompleted, n, "admitted", "completed", **home),
        )
    ]
    await desk.publish(*lapsed, *done)
    await desk.consumed()
    board = await shown(desk)
    assert (board["people"], board["running"], board["ended"]) == (16, None, None)  # three have ended
    assert board["offers"] == {"kept": 11, "lapsed": 5}
    assert board["waited_by_department"] == {
        "breast": {"p50": 10, "p90": 12},
        "head-neck-thyroid": {"p50": 21, "p90": 22},
    }

    at = dict(county=COUNTIES[1], department=thyroid)
    await desk.publish(
        *(step(referrals.ReferralCancelled, n, "bed_offered", "cancelled", **at) for n in range(8, 11))
    )
    await desk.consumed()
    board = await shown(desk)
    assert board["ended"] == {
        "people": 6,
        "by_county": [{"groups": COUNTIES, "people": 6}],
        "by_department": [{"groups": ["breast", "head-neck-thyroid"], "people": 6}],
        "by_state": [{"groups": sorted(ENDED), "people": 6}],
    }
    assert board["running"]["people"] == 10
    assert board["running"]["by_county"] == [
        {"groups": [COUNTIES[0]], "people": 5},
        {"groups": COUNTIES[1:], "people": 5},  # the empty ones too: nobody is known to be in the others
    ]


async def test_the_dashboard_is_for_those_who_answer_for_the_channel(desk: Desk) -> None:
    for role in (Role.RESIDENT, Role.COMMUNITY_WORKER):
        headers = bearer(desk, role)
        for path in ("", "/stream"):
            answer = await desk.http.get(f"/notifier/dashboards/referrals{path}", headers=headers)
            assert answer.status_code == 403
    assert (await shown(desk))["people"] is None


def test_the_wait_of_a_small_department_is_not_told_by_that_of_all() -> None:
    rows = [
        {"county": COUNTIES[0], "department": "breast", "waited_2": 5},
        {"county": COUNTIES[0], "department": "head-neck-thyroid", "waited_200": 1},
    ]
    at = datetime(2020, 3, 8, tzinfo=UTC)
    assert viewed(BOARD, rows, at).waited_by_department == {}
    rows[1]["waited_200"] = 5
    assert set(viewed(BOARD, rows, at).waited_by_department) == set(Department)


# ── small cells ──────────────────────────────────────────────────────────────────────────────────────

groups = st.fixed_dictionaries({group: st.integers(0, 12) for group in "abcdef"})


@given(counts=groups)
@settings(max_examples=400, derandomize=True, database=None, deadline=None)
def test_every_block_has_five_people_and_the_blocks_are_all_of_them(counts: dict[str, int]) -> None:
    found = blocks(counts)
    assert all(block.people >= LEAST for block in found)
    if sum(counts.values()) < LEAST:
        assert found == []
        return
    named = [group for block in found for group in block.groups]
    assert len(named) == len(set(named))
    assert not any(people for group, people in counts.items() if group not in named)
    for block in found:
        assert block.people == sum(counts[group] for group in block.groups)


@given(counts=groups)
@settings(max_examples=200, derandomize=True, database=None, deadline=None)
def test_no_sum_or_difference_of_what_is_shown_is_the_count_of_a_small_group(counts: dict[str, int]) -> None:
    found, total = blocks(counts), sum(counts.values())
    small = {group for group, people in counts.items() if 0 < people < LEAST}
    for size in range(len(found) + 1):
        for chosen in combinations(found, size):
            told = {group for block in chosen for group in block.groups}
            rest = {group for group, people in counts.items() if people} - told
            assert len(told & small) != len(told) or len(told) != 1
            if found and len(rest) == 1:
                assert not rest & small, (found, total)


@pytest.mark.parametrize(("groups", "people"), [(2, 24), (3, 18), (4, 14), (6, 10)])
def test_whoever_knows_the_rules_works_no_small_group_out(groups: int, people: int) -> None:
    """Of all populations that would be shown alike, each small group has another number in some."""
    alike = defaultdict(list)
    for counts in product(range(people + 1), repeat=groups):
        if sum(counts) <= people:
            found = blocks(dict(zip("abcdef", counts, strict=False)))
            alike[sum(counts), tuple((*block.groups, block.people) for block in found)].append(counts)
    told = [
        (shown, counts)
        for (total, shown), every in alike.items()
        for counts in every
        if total >= LEAST
        for place in range(groups)
        if 0 < counts[place] < LEAST and len({other[place] for other in every}) == 1
    ]
    assert told == []


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    assert percentile({1: 5, 2: 4, 30: 1}, 50) == 1
    assert percentile({1: 5, 2: 4, 30: 1}, 90) == 2
    assert percentile({LONGEST: 1}, 50) == LONGEST
