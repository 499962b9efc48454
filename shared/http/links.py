"""Links that people are sent: https, to a public host by its name."""

from functools import cache
from typing import Annotated

from publicsuffixlist import PublicSuffixList
from pydantic import AfterValidator, AnyUrl, UrlConstraints
from pydantic_core import PydanticCustomError

MAX_LINK = 2000
"""Characters."""
HTTPS_PORT = 443
SPECIAL = ("onion", "home.arpa")
"""In the list of public suffixes, and yet not to be reached from everywhere (RFC 7686, RFC 8375)."""


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


class _Https(AnyUrl):
    _constraints = UrlConstraints(max_length=MAX_LINK, allowed_schemes=["https"], host_required=True)


def _public(link: _Https) -> _Https:
    """The link. What is checked has been normalised as browsers do it: `https://0x7f.1/` and
    full-width digits are 127.0.0.1 by then, and no public suffix ends any address, `localhost` or `.local`.
    """
    host = link.host or ""
    suffix = _suffixes().publicsuffix(host)
    named = suffix not in SPECIAL and _suffixes().privatesuffix(host) is not None
    if not named or "" in host.split("."):
        raise PydanticCustomError("link_host", "须为公网域名 / must name a public host")
    if link.username is not None or link.password is not None:
        raise PydanticCustomError("link_user", "不得含用户名或密码 / must not name a user")
    if link.port != HTTPS_PORT:
        raise PydanticCustomError("link_port", "不得指定端口 / must not name a port")
    return link


PublicLink = Annotated[_Https, AfterValidator(_public)]
"""A link in a request; `str()` of it is what is kept. It is https, names a public host (no address in any
spelling, no `localhost`, `.local` or `.internal`), no user and no port. Nothing is looked up: what a name
leads to may change at any time, and we open no link ourselves."""
