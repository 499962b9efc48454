"""Pictures that callers look at."""

from typing import Any

from fastapi import Request, Response
from werkzeug.http import parse_etags, unquote_etag

SHOWS_A_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}},
    304: {"description": "Not modified"},
}
"""The `responses` of a route that answers with `shown_picture`."""


def shown_picture(request: Request, jpeg: bytes, etag: str) -> Response:
    """A picture, for a caller who may see it. Who has this version already (`If-None-Match`) gets 304."""
    headers = {"ETag": etag}
    tag, _ = unquote_etag(etag)
    if parse_etags(request.headers.get("If-None-Match")).contains_weak(tag):
        return Response(status_code=304, headers=headers)
    return Response(jpeg, media_type="image/jpeg", headers=headers)
