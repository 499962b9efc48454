"""The only module that knows the MongoDB driver.

Motor is at the end of its life in favour of PyMongo's own asyncio API; because nothing else imports
either, that swap is this file.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from bson import Binary, encode
from bson.errors import InvalidDocument
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorClientSession,
    AsyncIOMotorCollection,
    AsyncIOMotorDatabase,
)
from pymongo import (
    DeleteMany,
    DeleteOne,
    IndexModel,
    InsertOne,
    ReplaceOne,
    ReturnDocument,
    UpdateMany,
    UpdateOne,
)
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from shared.model.problems import Unavailable

Client: TypeAlias = AsyncIOMotorClient[dict[str, Any]]
Database: TypeAlias = AsyncIOMotorDatabase[dict[str, Any]]
Collection: TypeAlias = AsyncIOMotorCollection[dict[str, Any]]
Session: TypeAlias = AsyncIOMotorClientSession
Bson: TypeAlias = dict[str, Any]
WriteOp: TypeAlias = InsertOne[Bson] | UpdateOne | UpdateMany | ReplaceOne[Bson] | DeleteOne | DeleteMany

MAJORITY = ReadConcern("majority")
UNSENDABLE = (InvalidDocument, OverflowError)
"""What the driver raises, before anything is sent, for a document that it cannot encode or that is above
MAX_DOCUMENT (which is an InvalidDocument too)."""
MAX_DOCUMENT = 16 * 1024 * 1024
"""Bytes of a document; MongoDB's own limit."""
MAX_MESSAGE = 48_000_000
"""Bytes that the driver sends at once; MongoDB's own limit."""
ATTEMPTS = 8
"""How often a transaction is tried."""
T = TypeVar("T")

__all__ = [
    "MAJORITY",
    "MAX_DOCUMENT",
    "MAX_MESSAGE",
    "UNSENDABLE",
    "Binary",
    "Bson",
    "BulkWriteError",
    "Client",
    "Collection",
    "Database",
    "DeleteMany",
    "DeleteOne",
    "DuplicateKeyError",
    "IndexModel",
    "InsertOne",
    "OperationFailure",
    "PyMongoError",
    "ReadConcern",
    "ReplaceOne",
    "ReturnDocument",
    "Session",
    "UpdateMany",
    "UpdateOne",
    "WriteOp",
    "away",
    "connect",
    "encode",
    "guarded",
    "in_transaction",
    "is_transient",
    "quick",
    "transaction",
]


def quick(collection: Collection) -> Collection:
    """Written on the primary only, not journaled: for what may be lost when it dies."""
    return collection.with_options(write_concern=WriteConcern(w=1, j=False))


def connect(uri: str) -> Client:
    """A client with every default that matters stated: majority and journaled, UTC, short selection.

    `uri` names the replica set, or lets it be found. With `directConnection` the driver keeps connections
    that were made while the node was starting, and never does a transaction over them.
    """
    return AsyncIOMotorClient(
        uri,
        tz_aware=True,
        w="majority",
        journal=True,
        readPreference="primary",
        retryWrites=True,
        retryReads=True,
        serverSelectionTimeoutMS=1500,
        heartbeatFrequencyMS=2000,
        connectTimeoutMS=1500,
        socketTimeoutMS=60_000,
        maxPoolSize=64,
        appname="jinguo",
    )


_AWAY = (
    ConnectionFailure,
    NetworkTimeout,
    ServerSelectionTimeoutError,
    ExecutionTimeout,
    asyncio.TimeoutError,
)


def is_transient(error: BaseException) -> bool:
    """True when the same operation may succeed later: the database is away, electing or overloaded."""
    if isinstance(error, _AWAY):
        return True
    if isinstance(error, ConfigurationError):  # a server that just started, and is no member of its set yet
        return "Sessions are not supported" in str(error)
    return isinstance(error, PyMongoError) and (
        error.has_error_label("TransientTransactionError") or error.has_error_label("RetryableWriteError")
    )


def away() -> Unavailable:
    """What callers are told when MongoDB is away or too slow."""
    return Unavailable("数据库暂时不可用 / The database is away")


@asynccontextmanager
async def guarded(seconds: float) -> AsyncIterator[None]:
    """Bound what a caller waits for MongoDB. Raises Unavailable when it is away or too slow."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (TimeoutError, PyMongoError) as error:
        if is_transient(error):
            raise away() from error
        raise


@asynccontextmanager
async def transaction(client: Client) -> AsyncIterator[Session]:
    """One attempt at a majority, snapshot transaction; it commits when the block ends without error.

    WriteConflict aborts it at once, by MongoDB's design: `in_transaction` tries again.
    """
    async with (
        await client.start_session() as session,
        session.start_transaction(
            read_concern=ReadConcern("snapshot"),
            write_concern=WriteConcern("majority", j=True),
            read_preference=ReadPreference.PRIMARY,
            max_commit_time_ms=5000,
        ),
    ):
        yield session


async def in_transaction(client: Client, work: Callable[[Session], Awaitable[T]]) -> T:
    """`work` in a transaction, from its start again while it fails for a passing reason.

    Who is cancelled does not wait for the roll-back: without MongoDB that alone would take a second and a
    half. Raises what `work` raises, and PyMongoError after the last attempt.
    """
    attempts = asyncio.ensure_future(_attempts(client, work))
    try:
        return await asyncio.shield(attempts)
    except asyncio.CancelledError:
        attempts.cancel()
        attempts.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        raise


async def _attempts(client: Client, work: Callable[[Session], Awaitable[T]]) -> T:
    for attempt in range(ATTEMPTS):
        try:
            async with transaction(client) as session:
                return await work(session)
        except Exception as error:
            if attempt == ATTEMPTS - 1 or not is_transient(error):
                raise
        await asyncio.sleep(random.random() * 0.01 * 2**attempt)  # whoever we met has to finish first
    raise AssertionError("unreachable")
