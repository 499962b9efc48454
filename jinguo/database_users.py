"""A MongoDB user of its own for every service: its database, its archive, of the vault what it needs."""

from collections.abc import Mapping
from typing import Any

from jinguo.kafka_rights import OPERATOR
from jinguo.services import SERVICES, named
from shared.mongo.driver import Client, OperationFailure

USERS = "admin"
"""The database that users and roles are kept in."""
_ALREADY = (51003, 51002)  # a user, a role of that name exists
Privilege = dict[str, Any]


def privileges(prefix: str, service: str) -> list[Privilege]:
    """What a service may do, beside reading and writing its own database."""
    log, vault, rates = f"{prefix}_log", f"{prefix}_vault", f"{prefix}_rates"
    read, write = ["find"], ["find", "insert", "update", "remove", "createIndex"]
    sources = {source for one in named(service) for consumer in one.consumers for source in consumer.sources}
    return [
        *(_on(log, f"archive_{source}", read) for source in sorted(sources)),
        _on(log, f"archive_{service}", ["find", "insert", "createIndex"]),
        _on(log, "leases", write),
        _on(log, "published", write),
        # Keys are made and deleted, never changed: rewrapping them is the operator's.
        _on(vault, "keys", ["find", "insert", "remove"]),
        _on(vault, "index", ["find", "insert"]),
        _on(vault, "erased", ["find", "insert", "update"]),
        _on(rates, "counts", ["find", "insert", "update", "createIndex"]),
    ]


def _on(database: str, collection: str, actions: list[str]) -> Privilege:
    return {"resource": {"db": database, "collection": collection}, "actions": actions}


async def create_users(client: Client, prefix: str, passwords: Mapping[str, str]) -> None:
    """Make the role and the user of each service named, and of the operator, who may do in the platform's
    databases what all of them may; again changes them to what is declared here.

    `client` must be an administrator's. `passwords`: service, or `operator` -> password.
    """
    for user, password in passwords.items():
        role = f"{prefix}-{user}"
        await _create_or_update(client, "Role", role, _rights(prefix, user))
        await _create_or_update(client, "User", user, {"pwd": password, "roles": [role]})


def _rights(prefix: str, user: str) -> dict[str, list[Any]]:
    if user == OPERATOR:
        names = [*(service.name for service in SERVICES), "log", "vault", "rates"]
        return {"privileges": [], "roles": [_read_write(f"{prefix}_{name}") for name in names]}
    return {"privileges": privileges(prefix, user), "roles": [_read_write(f"{prefix}_{user}")]}


def _read_write(database: str) -> dict[str, str]:
    return {"role": "readWrite", "db": database}


async def _create_or_update(client: Client, kind: str, name: str, what: dict[str, Any]) -> None:
    admin = client[USERS]
    try:
        await admin.command({f"create{kind}": name, **what})
    except OperationFailure as error:
        if error.code not in _ALREADY:
            raise
        await admin.command({f"update{kind}": name, **what})
