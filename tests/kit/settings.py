"""The settings of a test's services."""

import base64
from pathlib import Path
from typing import Any
from uuid import uuid4

from shared.settings import Settings
from tests.kit.issuing import Issuing

MASTER_KEY = base64.b64encode(b"k" * 32).decode()


def fresh_prefix() -> str:
    """Of databases that nobody has used."""
    return f"t{uuid4().hex[:12]}"


def settings_of(mongodb_uri: str, folder: Path, issuer: Issuing | None = None, **changes: Any) -> Settings:
    """Settings with databases of their own. Nothing is counted by address, and a busy machine may be slow,
    unless a test says so."""
    given = {
        "mongodb_uri": mongodb_uri,
        "database_prefix": fresh_prefix(),
        "data_dir": folder,
        "oidc_issuer": issuer.url if issuer else None,
        "master_key": MASTER_KEY,
        "public_requests_per_minute": 0,
        "command_timeout": 10,
    }
    return Settings(**given | changes)
