"""What a person reads, and what an erasure marks, follow from what the documents declare."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from jinguo.services import SERVICES
from shared.http.persons import Erasure, HeldView, PersonalData, Persons
from shared.http.proofs import PHONE_TRUSTED
from shared.model.clock import moved, now
from shared.model.documents import Document
from shared.model.known import ByAccount, ByPhone, PartOf
from shared.model.personal import Keyed, Personal
from shared.model.problems import Unavailable
from shared.model.roles import Caller, Role
from shared.service import Service
from shared.store.store import Store
from tests.shared.toy_hosts import Hosts

PHONE = "13857001234"
HER = Caller(id="her-account", role=Role.RESIDENT)
WITH_HER_PHONE = Caller(id="another-account", role=Role.RESIDENT, phone=PHONE)


class Membership(Document):
    collection = "memberships"
    person_field = "member"
    known_by = (ByAccount("account_key", namespace="club"), ByPhone("phone_key", proven="proven_at"))

    member: str
    account_key: str = ""
    phone_key: str = ""
    proven_at: datetime | None = None
    code_key: Keyed[str] = "keyed"
    name: Personal[str] = None

    def forget(self, now: datetime) -> None:
        self.account_key = self.phone_key = ""


class Visit(Document):
    collection = "visits"
    person_field = "member"
    part_of = PartOf(Membership, "membership_id")

    membership_id: str
    member: str
    wish: Personal[str] = None


class Ban(Document):
    collection = "bans"
    known_by = (ByPhone("phone_key"),)
    kept = ("reason",)

    phone_key: str
    reason: str
    by: str = "staff"


CLUB = Service("ledger", "俱乐部", documents=[Membership, Visit, Ban])
DATA = {name: getattr(CLUB.personal, name) for name in PersonalData.__dataclass_fields__}


@pytest.fixture
async def store(plain_hosts: Hosts) -> Store:
    return (await plain_hosts.prepare(CLUB)).stores["ledger"]


async def joined(store: Store, **proven: Any) -> Membership:
    """A member with one visit."""
    blind, person = store.vault.blind_index, await store.vault.new_person()
    keys = {"account_key": blind("club|her-account"), "phone_key": blind(f"phone|{PHONE}")}
    member = await store.commit(Membership(member=person, name="王小明", **keys | proven))
    await store.commit(Visit(membership_id=member.id, member=person, wish="靠窗"))
    return member


def persons(**changes: Any) -> Persons:
    return Persons(CLUB.documents, PersonalData(**DATA | changes))


def kinds(found: list[HeldView]) -> list[set[str]]:
    return [set(held.records) for held in found]


# ── a class that cannot be found or forgotten does not load ──────────────────────────────────────────


def nobody_is_named() -> None:
    class Unnamed(Document):
        collection, known_by = "notes", (ByAccount("account_key"),)
        account_key: str
        name: Personal[str] = None


def nobody_finds_it() -> None:
    class Lost(Document):
        collection, person_field = "notes", "person"
        person: str
        name: Personal[str] = None


def a_person_without_personal_fields_is_found_too() -> None:
    class Lost(Document):
        collection, person_field = "notes", "person"
        person: str


def nobody_forgets_it() -> None:
    class Remembered(Document):
        collection, person_field, known_by = "notes", "person", (ByAccount("account_key"),)
        person: str
        account_key: str
        name: Personal[str] = None


def kept_against_her_key() -> None:
    class Kept(Membership):
        kept = ("name",)


def part_of_what_nobody_finds() -> None:
    class Plain(Document):
        collection = "plain"

    class Part(Document):
        collection, part_of = "parts", PartOf(Plain, "plain_id")
        plain_id: str


def a_field_that_is_not_there() -> None:
    class Misspelt(Visit):
        part_of = PartOf(Membership, "memebrship_id")


def a_phone_that_nobody_proves() -> None:
    class Typed(Membership):
        known_by = (ByPhone("phone_key"),)


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (nobody_is_named, "no person_field"),
        (nobody_finds_it, "cannot be found"),
        (a_person_without_personal_fields_is_found_too, "cannot be found"),
        (nobody_forgets_it, "cannot be forgotten"),
        (kept_against_her_key, "cannot be forgotten"),
        (part_of_what_nobody_finds, "nobody finds"),
        (a_field_that_is_not_there, "has no memebrship_id"),
        (a_phone_that_nobody_proves, "proven by it"),
    ],
)
def test_what_cannot_be_found_or_forgotten_does_not_load(declared: Callable[[], None], why: str) -> None:
    with pytest.raises(TypeError, match=why):
        declared()


def test_a_service_has_what_its_documents_are_part_of_and_nothing_more_where_nobody_is_known() -> None:
    with pytest.raises(TypeError, match="Visit is part of Membership, which ledger does not have"):
        Service("ledger", "俱乐部", documents=[Visit])
    assert Erasure in CLUB.stored and CLUB.persons
    plain = Service("ledger", "账本")
    assert plain.persons is None and plain.stored == [] and plain.routes == []


def test_a_namespace_never_changes_since_data_is_stored_under_it() -> None:
    who = Caller(id="a", role=Role.RESIDENT, phone=PHONE)
    known = {
        model.__name__: {way.field: way.key(str, who) for way in model.known_by}
        for service in SERVICES
        for model in service.documents
        if model.known_by
    }
    assert known == {
        "Pledge": {"account_key": "account|a", "phone_key": f"phone|{PHONE}"},
        "Member": {"account_key": "account|a"},
        "ListEntry": {"phone_key": f"phone|{PHONE}"},
        "Invalidation": {"condition.phone_key": f"phone|{PHONE}"},
        "Referral": {"patient_key": "patient|a"},
        "Contact": {"account_key": "account|a", "phone_key": f"contact|{PHONE}"},
    }


# ── what follows ─────────────────────────────────────────────────────────────────────────────────────


async def test_her_account_finds_it_opened_with_its_parts_and_without_keyed_hashes(store: Store) -> None:
    member = await joined(store)
    [held] = await persons().read(store, HER)
    assert (held.person, held.kept) == (member.member, False)
    [record], [visit] = held.records["memberships"], held.records["visits"]
    assert set(record) == {"id", "version", "member", "proven_at", "name"}
    assert (record["name"], visit["wish"]) == ("王小明", "靠窗")
    assert await persons().read(store, Caller(id="a-stranger", role=Role.RESIDENT)) == []


async def test_a_phone_finds_what_it_proved_for_ninety_days(store: Store) -> None:
    await joined(store)
    assert await persons().read(store, WITH_HER_PHONE) == []  # somebody typed it
    await joined(store, proven_at=now(), account_key="")
    assert kinds(await persons().read(store, WITH_HER_PHONE)) == [{"memberships", "visits"}]
    with moved(PHONE_TRUSTED + timedelta(minutes=1)):
        assert await persons().read(store, WITH_HER_PHONE) == []


async def test_what_was_forgotten_is_found_by_no_account_that_has_no_key(store: Store) -> None:
    await joined(store, account_key="", phone_key="")
    assert await persons().read(store, HER) == []


async def test_she_is_erased_once_and_what_protects_others_stays(store: Store) -> None:
    member = await joined(store, proven_at=now())
    await store.commit(Ban(phone_key=store.vault.blind_index(f"phone|{PHONE}"), reason="broke a glass"))
    [proof] = await persons().erase(store, WITH_HER_PHONE)
    assert (proof.person, proof.records) == (member.member, {"memberships": 1, "visits": 1})
    assert await persons().erase(store, WITH_HER_PHONE) == []
    [kept] = await persons().read(store, WITH_HER_PHONE)
    assert kept.kept and set(kept.records["bans"][0]) == {"id", "reason"}
    stored = await store.load(Membership, member.id)
    await store.unseal(stored)
    assert (stored.name, stored.account_key, stored.phone_key) == (None, "", "")
    assert (await store.load(Erasure, member.member)).records == proof.records


async def test_who_was_erased_before_a_backup_came_back_is_found_by_her_id(store: Store) -> None:
    members = [await joined(store) for _ in range(3)]
    named = [member.member for member in members[:2]] + [f"unknown-{n}" for n in range(600)]
    assert await persons().erase_again(store, named) == 2
    left = [held.person for held in await persons().read(store, HER)]
    assert left == [members[2].member]
    assert (await store.load(Erasure, members[0].member)).by == "restored"


async def test_a_service_says_what_the_documents_do_not(store: Store) -> None:
    member, asked = await joined(store), list[str]()

    async def refuse(_: Store, caller: Caller, found: Membership) -> None:
        raise Unavailable(f"{caller.id} {found.id}")

    async def forget(_: Store, member_id: str) -> None:
        asked.append(member_id)

    with pytest.raises(Unavailable, match=f"her-account {member.id}"):
        await persons(before_shown=refuse).read(store, HER)
    [held] = await persons(shown={Visit: lambda visit: {"says": visit.wish}}).read(store, HER)
    assert held.records["visits"] == [{"says": "靠窗"}]
    assert await persons(own_keys=False, forget={Membership: forget}).erase(store, HER)
    assert asked == [member.id]
    [held] = await persons().read(store, HER)  # another service's key is there still
    assert held.records["memberships"][0]["name"] == "王小明"
