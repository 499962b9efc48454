"""A MongoDB user of its own for every service: its database, its archive, of the vault what it needs."""

from collections.abc import Mapping
from typing import Any

from jinguo.services import SERVICES
from shared.store.driver import Client, OperationFailure

USERS = "admin"
"""The database that users and roles are kept in."""
_ALREADY = (51003, 51002)  # a user, a role of that name exists
Privilege = dict[str, Any]


def privileges(prefix: str, service: str) -> list[Privilege]:
    """What a service may do, beside reading and writing its own database."""
    log, vault, rates = f"{prefix}_log", f"{prefix}_vault", f"{prefix}_rates"
    read, write = ["find"], ["find", "insert", "update", "remove", "createIndex"]
    archives = [_on(log, f"archive_{one.name}", read) for one in SERVICES]
    return [
        *archives,
        _on(log, f"archive_{service}", ["find", "insert", "createIndex"]),
        _on(log, "leases", write),
        _on(log, "published", write),
        # Keys are made and deleted, never changed: rewrapping them is the operator's.
        _on(vault, "keys", ["find", "insert", "remove"]),
        _on(vault, "erased", ["find", "insert", "update"]),
        _on(rates, "counts", ["find", "insert", "update", "createIndex"]),
    ]


def _on(database: str, collection: str, actions: list[str]) -> Privilege:
    return {"resource": {"db": database, "collection": collection}, "actions": actions}


async def create_users(client: Client, prefix: str, passwords: Mapping[str, str]) -> None:
    """Make the role and the user of each service named; again changes them to what is declared here.

    `client` must be an administrator's. `passwords`: service -> password.
    """
    for service, password in passwords.items():
        role = f"{prefix}-{service}"
        own: list[Any] = [{"role": "readWrite", "db": f"{prefix}_{service}"}]
        allowed = {"privileges": privileges(prefix, service), "roles": own}
        await _create_or_update(client, "Role", role, allowed)
        await _create_or_update(client, "User", service, {"pwd": password, "roles": [role]})


async def _create_or_update(client: Client, kind: str, name: str, what: dict[str, Any]) -> None:
    admin = client[USERS]
    try:
        await admin.command({f"create{kind}": name, **what})
    except OperationFailure as error:
        if error.code not in _ALREADY:
            raise
        await admin.command({f"update{kind}": name, **what})
