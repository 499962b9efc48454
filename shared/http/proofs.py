"""What proves who somebody is, beyond a token that is good: how long ago they signed in, and for how long a
phone stands for the person who proved it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.model.clock import now
from shared.model.known import ACCOUNT
from shared.model.problems import Problem
from shared.model.roles import Account

FRESH = timedelta(minutes=5)
"""How long ago a caller may have signed in for what cannot be undone."""
PHONE_TRUSTED = timedelta(days=90)
"""Operators give a number that was given up to somebody else after 90 days at the earliest: for so long after
it was proven by a code it stands for who proved it, and no longer."""


class SignInAgain(Problem):
    """The caller signed in too long ago for this: ask the issuer anew, with `max_age` (RFC 9470)."""

    status, type, title, title_en = 401, "sign-in-again", "请重新登录后再操作", "Sign in again for this"

    def __init__(self) -> None:
        seconds = int(FRESH.total_seconds())
        challenge = f'Bearer error="insufficient_user_authentication", max_age="{seconds}"'
        super().__init__(headers={"WWW-Authenticate": challenge}, max_age=seconds)


def check_fresh(caller: Account) -> None:
    """Raises SignInAgain for who signed in too long ago, or for whom the issuer does not say when."""
    if caller.signed_in_at is None or now() - caller.signed_in_at > FRESH:
        raise SignInAgain()


def proven_since() -> datetime:
    """A phone that was proven after this instant still stands for who proved it."""
    return now() - PHONE_TRUSTED


def account_key(blind: Callable[[str], str], caller: Account) -> str:
    """What services know an account by among each other; its id is personal. `blind`: the vault's index."""
    return blind(f"{ACCOUNT}|{caller.id}")
