"""Indexes: created as they are declared, dropped when they no longer are."""

from typing import Any

from shared.model.documents import Index
from shared.mongo.driver import Collection, OperationFailure

INDEX_NOT_FOUND = 27


async def drop_index(collection: Collection, name: str) -> None:
    """Drop an index of former times, unless it is gone."""
    try:
        await collection.drop_index(name)
    except OperationFailure as error:
        if error.code != INDEX_NOT_FOUND:
            raise


async def create_index(collection: Collection, index: Index) -> None:
    """Create an index as declared; one that exists alike is left alone."""
    options: dict[str, Any] = {"name": index.name, "unique": index.unique}
    if index.where is not None:
        options["partialFilterExpression"] = index.where
    if index.expire_after is not None:
        options["expireAfterSeconds"] = index.expire_after
    await collection.create_index(list(index.keys), **options)
