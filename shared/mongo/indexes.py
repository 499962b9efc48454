"""Indexes: created as they are declared, dropped when they no longer are."""

import asyncio
from collections.abc import Iterable
from typing import Any

from shared.model.documents import Index
from shared.mongo.driver import Collection, IndexModel, OperationFailure

INDEX_NOT_FOUND = 27


async def drop_index(collection: Collection, name: str) -> None:
    """Drop an index of former times, unless it is gone."""
    try:
        await collection.drop_index(name)
    except OperationFailure as error:
        if error.code != INDEX_NOT_FOUND:
            raise


async def create_indexes(collection: Collection, indexes: Iterable[Index]) -> None:
    """Create the indexes of a collection as declared, by one command; those that exist alike are left
    alone."""
    if models := [_model_of(index) for index in indexes]:
        await collection.create_indexes(models)


async def create_all(declared: Iterable[tuple[Collection, Iterable[Index]]]) -> None:
    """Create the indexes of several collections at once."""
    await asyncio.gather(*(create_indexes(collection, indexes) for collection, indexes in declared))


def _model_of(index: Index) -> IndexModel:
    options: dict[str, Any] = {"name": index.name, "unique": index.unique}
    if index.where is not None:
        options["partialFilterExpression"] = index.where
    if index.expire_after is not None:
        options["expireAfterSeconds"] = index.expire_after
    return IndexModel(list(index.keys), **options)
