"""A proof of work (ALTCHA): what a caller who cannot be told from others pays for what costs us money.

A challenge is a puzzle that a device solves in about a second, and that is checked with two hashes: no third
party, no account, nothing about the person. It is made without being stored; each is accepted once.
"""

import secrets
from collections.abc import Callable
from typing import Any

import altcha

from shared.model.clock import now
from shared.model.problems import Problem

ALGORITHM = "PBKDF2/SHA-256"
"""What every browser has built in."""
ITERATIONS = 100
"""Of one try: making a challenge costs us one try, solving it as many as `tries` says."""
SECONDS = 600
"""How long a challenge can be solved."""
HEADER = "Altcha"
MAX_PAYLOAD = 4096


class ProofNeeded(Problem):
    """Solve `challenge` (ALTCHA, version 2) and send the request again with the payload in `header`."""

    status, type = 428, "proof-needed"
    title, title_en = "请完成安全验证后重试", "A proof of work is needed"


class ProofOfWork:
    """Makes challenges of `tries` tries on average, and knows those it made."""

    def __init__(self, blind: Callable[[str], str], tries: int) -> None:
        self._blind = blind
        self._tries = tries

    def challenge(self) -> dict[str, Any]:
        """A new one, as ALTCHA's widget and libraries read it."""
        made: dict[str, Any] = altcha.create_challenge(
            ALGORITHM,
            ITERATIONS,
            counter=self._tries // 2 + secrets.randbelow(self._tries + 1),
            expires_at=int(now().timestamp()) + SECONDS,
            hmac_secret=self._secret("challenge"),
            hmac_key_secret=self._secret("solution"),
        ).to_dict()
        return made

    def solved(self, payload: str) -> str | None:
        """Which challenge of ours this solves; None when it solves none."""
        if len(payload) > MAX_PAYLOAD:
            return None
        found = altcha.verify_solution(
            payload, self._secret("challenge"), hmac_key_secret=self._secret("solution")
        )
        return altcha.Payload.from_base64(payload).challenge.parameters.nonce if found.verified else None

    def needed(self, reason: str) -> ProofNeeded:
        """The problem that asks for one. `reason`: what calls for it."""
        return ProofNeeded(reason=reason, header=HEADER, challenge=self.challenge())

    def _secret(self, what: str) -> str:
        return self._blind(f"altcha|{what}")
