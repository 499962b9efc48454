"""The local issuer, really served: in a thread, on a port of its own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import uvicorn

from jinguo.issuer import LocalIssuer, Person
from shared.http.identity import Role
from shared.local.child import free_port

SCOPES: dict[Role, dict[str, str]] = {
    Role.COMMUNITY_WORKER: {"org": "柯城", "division": "330802005001"},
    Role.COUNTY_OFFICER: {"org": "柯城"},
    Role.CITY_OFFICER: {"org": "city"},
    Role.CLINICIAN: {"department": "breast"},
}
"""What a role is nothing without."""


def somebody(role: Role, org: str | None = None, **scopes: str) -> Person:
    """A made-up person, with the scope that the role needs where none is said."""
    said = scopes | ({"org": org} if org else {})
    return Person(**SCOPES.get(role, {}) | said, role=role)


class Issuing:
    """A running issuer, whose keys a test may change."""

    def __init__(self, issuer: LocalIssuer, server: uvicorn.Server) -> None:
        self._issuer = issuer
        self._server = server
        self._thread = threading.Thread(target=server.run, name="issuer", daemon=True)

    @property
    def url(self) -> str:
        return self._issuer.url

    @property
    def kid(self) -> str:
        return str(self._issuer.key.kid)

    @property
    def public(self) -> Any:
        return self._issuer.key.private.public_key()

    def token(self, person: Person, **changes: Any) -> str:
        return self._issuer.token(person, **changes)

    def bearer(self, role: Role = Role.CITY_OFFICER, org: str | None = None, **scopes: str) -> dict[str, str]:
        """The headers of a made-up person; with a division or a department where none is said."""
        return {"Authorization": f"Bearer {self.token(somebody(role, org, **scopes))}"}

    def rotate(self, private: Any, algorithm: str, kid: str) -> None:
        """Sign with another key from now on, and publish that one only."""
        self._old, self._issuer.key = self._issuer.key, type(self._issuer.key)(private, algorithm, kid)

    def signed_by_the_old_key(self, person: Person) -> str:
        claims = jwt.decode(self.token(person), options={"verify_signature": False})
        return jwt.encode(
            claims, self._old.private, algorithm=self._old.algorithm, headers={"kid": self._old.kid}
        )

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert self._thread.is_alive() and time.monotonic() < deadline, "the issuer did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)


@contextmanager
def issuing(folder: Path) -> Iterator[Issuing]:
    """Run an issuer; its key lies in `folder`."""
    port = free_port()
    issuer = LocalIssuer(f"http://127.0.0.1:{port}", folder / "issuer.pem", "jinguo")
    config = uvicorn.Config(issuer.app(), port=port, log_config=None, timeout_graceful_shutdown=1)
    running = Issuing(issuer, uvicorn.Server(config))
    running.start()
    try:
        yield running
    finally:
        running.stop()
