"""A device is known by a cookie of ours: to tell apart those who share an address, and for nothing else.

It is random and signed, cannot be read by scripts, and stands in no document: counts hold a keyed hash of
it while their window runs.
"""

import hmac
import secrets
from collections.abc import Callable
from http.cookies import SimpleCookie

from shared.model.clock import now

NAME = "jinguo_device"
SCOPE = "device-cookie"
"""Where in a request's scope a new cookie waits for the answer."""
DAYS = 30
MAC = 32
Blind = Callable[[str], str]


def new_device(blind: Blind, *, secure: bool) -> str:
    """A `Set-Cookie` header for a device nobody has been yet."""
    device = f"{int(now().timestamp()):x}.{secrets.token_urlsafe(16)}"
    cookie = SimpleCookie()
    cookie[NAME] = f"{device}.{_mac(blind, device)}"
    cookie[NAME].update({"path": "/", "max-age": str(DAYS * 86_400), "samesite": "Lax"})
    cookie[NAME]["httponly"], cookie[NAME]["secure"] = True, secure
    return str(cookie[NAME].OutputString())


def known_device(blind: Blind, value: str | None) -> str | None:
    """The device that brings this cookie; None for one that we did not make, or long ago."""
    device, _, mac = (value or "").rpartition(".")
    made = device.partition(".")[0]
    if not device or not hmac.compare_digest(mac.encode(), _mac(blind, device).encode()):
        return None
    return device if int(made, 16) > now().timestamp() - DAYS * 86_400 else None


def _mac(blind: Blind, device: str) -> str:
    return blind(f"device|{device}")[:MAC]
