"""Indexes of a collection follow its document: new ones are made, former ones dropped."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from shared.model.documents import Document, Index
from shared.model.problems import AlreadyExists
from shared.service import Service
from tests.shared import toy
from tests.shared.toy import Account
from tests.shared.toy_hosts import Hosts, toy_settings


class Before(Document):
    collection: ClassVar[str] = "things"
    indexes: ClassVar[Sequence[Index]] = (Index("kinds", [("kind", 1)], unique=True),)
    kind: str


class After(Document):
    """There may be several of a kind now."""

    collection: ClassVar[str] = "things"
    indexes: ClassVar[Sequence[Index]] = (Index("of_a_kind", [("kind", 1)]),)
    former_indexes: ClassVar[Sequence[str]] = ("kinds",)
    kind: str


async def test_a_rule_that_an_index_kept_holds_no_more_once_it_is_dropped(
    mongodb_uri: str, tmp_path: Path
) -> None:
    made = Hosts(toy_settings(mongodb_uri, None, tmp_path))
    store = (await made.prepare(Service("ledger", "账本", documents=[Before]))).stores["ledger"]
    await store.commit(Before(kind="a"))
    with pytest.raises(AlreadyExists):
        await store.commit(Before(kind="a"))
    for _ in range(2):  # the second time it is gone already
        await store.prepare([After])
        await store.commit(After(kind="a"))
    assert "kinds" not in await store.collection(After).index_information()
    await made.close()


async def test_the_indexes_of_a_collection_are_created_by_one_command(
    mongodb_uri: str, tmp_path: Path
) -> None:
    made = Hosts(toy_settings(mongodb_uri, None, tmp_path))
    store = made.make(toy.source_only).stores["ledger"]
    await store.database.command("profile", 2)
    await store.prepare(toy.source_only.stored)
    await store.database.command("profile", 0)
    created = store.database["system.profile"].find({"command.createIndexes": {"$exists": True}})
    names = [row["command"]["createIndexes"] async for row in created]
    assert sorted(names) == sorted({*names}) and Account.collection in names
    assert {index.name for index in Account.indexes} < {*await store.collection(Account).index_information()}
    await made.close()
