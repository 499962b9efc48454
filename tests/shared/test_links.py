"""Links that people are sent lead to public places, by https."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, TypeAdapter, ValidationError

from jinguo.services import SERVICES
from shared.http.links import PublicLink

links: TypeAdapter[PublicLink] = TypeAdapter(PublicLink)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://meeting.example.com/dm/8f3?pwd=1#a", "https://meeting.example.com/dm/8f3?pwd=1#a"),
        ("HTTPS://Meeting.Example.COM", "https://meeting.example.com/"),
        ("https://example.com:443/x", "https://example.com/x"),
        ("https://会议.中国/", "https://xn--6oqu09l.xn--fiqs8s/"),
    ],
)
def test_a_public_https_link_is_kept_as_browsers_read_it(given: str, kept: str) -> None:
    assert str(links.validate_python(given)) == kept


@pytest.mark.parametrize(
    "given",
    [
        "http://example.com/",
        "ftp://example.com/",
        "javascript:alert(1)",
        "//example.com/",
        "example.com",
        "https://",
        f"https://example.com/{'x' * 2000}",
    ],
)
def test_what_is_no_https_link_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        links.validate_python(given)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "１２７.0.0.1", "8.8.8.8",
        "[::1]", "[::ffff:127.0.0.1]", "[2001:4860:4860::8888]",
        "localhost", "localhost.", "LOCALHOST", "%6cocalhost", "printer", "a.localhost",
        "nas.local", "db.internal", "host.lan", "mongo", "x.test", "x.home.arpa", "x.onion",
        "com", "com.cn", "example.com.", "example..com", ".com",
    ],
)  # fmt: skip
def test_a_host_that_is_not_public_is_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(ValidationError) as refused:
        links.validate_python(f"https://{host}/")
    assert "127.0.0.1" not in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "given",
    ["https://bank.example.com@example.org/", "https://u:p@example.com/", "https://example.com:8443/"],
)
def test_a_user_or_a_port_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        links.validate_python(given)


def test_every_link_in_a_request_of_any_service_is_refused_like_this() -> None:
    """Found by the models of the routes' bodies, so that a new service cannot take another type."""
    found = [
        adapter
        for service in SERVICES
        for router in service.routes
        for route in iter_route_contexts(router.routes)
        for adapter in fields(getattr(route.original_route, "body_field", None))
        if '"uri"' in json.dumps(adapter.json_schema())
    ]
    assert len(found) == 2  # of a talk, and of a slot for a consult
    for adapter in found:
        with pytest.raises(ValidationError):
            adapter.validate_python("https://127.0.0.1/")


def fields(body: Any) -> Iterator[TypeAdapter[Any]]:
    """What the fields of a body are checked by."""
    model = body and body.field_info.annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        for field in model.model_fields.values():
            yield TypeAdapter(Annotated[field.annotation, field])
