"""A route's handler, composed once when the route is built.

FastAPI looks through a route's declaration at every request: which parameters, which dependencies, of which
kind, with which cache. That is a third of a request's time. What our routes are made of is known when they
are built, so the way through it is laid then. Declaration, documentation, errors and their order are
FastAPI's: its own functions read the parameters, and what is not known here is left to its own handler.
"""

import email.message
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request, Response
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Call = Callable[..., Awaitable[Any]]
JSON = "application/json"
_OTHER = (
    *("cookie_params", "websocket_param_name", "response_param_name", "background_tasks_param_name"),
    *("security_scopes_param_name", "own_oauth_scopes", "parent_oauth_scopes", "concurrency"),
)
"""What a route or a dependency may not have to be composed."""


class NotComposed(Exception):
    """It has something that is not known here."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A route's function, or a dependency, with what it is called with."""

    call: Call
    name: str | None
    """The parameter that its answer is, of what depends on it."""
    before: tuple["_Step", ...]
    plain: tuple[str, ...]
    """Parts of the path that are taken as they are."""
    read: tuple[tuple[list[Any], str], ...]
    """Parameters that FastAPI reads, and the attribute of the request that has them."""
    body: list[Any]
    request: tuple[str, ...]

    @classmethod
    def of(cls, dependant: Dependant) -> "_Step":
        """Raises NotComposed."""
        if any(getattr(dependant, name) for name in _OTHER) or not dependant.use_cache:
            raise NotComposed
        call: Any = dependant.call
        if not (iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)):
            raise NotComposed
        texts = [field for field in dependant.path_params if _is_text(field)]
        named = (dependant.request_param_name, dependant.http_connection_param_name)
        return cls(
            call=call,
            name=dependant.name,
            before=tuple(map(cls.of, dependant.dependencies)),
            plain=tuple(field.name for field in texts),
            read=tuple(
                (fields, where)
                for fields, where in (
                    ([field for field in dependant.path_params if field not in texts], "path_params"),
                    (dependant.query_params, "query_params"),
                    (dependant.header_params, "headers"),
                )
                if fields
            ),
            body=dependant.body_params,
            request=tuple(name for name in named if name),
        )

    async def values(
        self, request: Request, body: Any, known: dict[Call, Any], errors: list[Any]
    ) -> dict[str, Any]:
        """What it is called with; not to be used where there are `errors` afterwards."""
        found: dict[str, Any] = {}
        for step in self.before:
            if await step.solved(request, body, known, errors) and step.name is not None:
                found[step.name] = known[step.call]
        for name in self.plain:
            found[name] = request.path_params[name]
        for fields, where in self.read:
            read, faults = request_params_to_args(fields, getattr(request, where))
            found.update(read)
            errors += faults
        if self.body:
            read, faults = await request_body_to_args(self.body, body, embed_body_fields=False)
            found.update(read)
            errors += faults
        for name in self.request:
            found[name] = request
        return found

    async def solved(self, request: Request, body: Any, known: dict[Call, Any], errors: list[Any]) -> bool:
        """Whether it has an answer, which is `known` then: what lacks its parameters is not called."""
        if self.call not in known:
            before = len(errors)
            given = await self.values(request, body, known, errors)
            if len(errors) > before:
                return False
            known[self.call] = await self.call(**given)
        return True


def _is_text(field: Any) -> bool:
    """A part of the path that may be any text."""
    return field.field_info.annotation is str and not field.field_info.metadata and field.alias == field.name


def composed(route: APIRoute) -> Handler | None:
    """The route's handler; None where it has something that is not known here."""
    response_class: Any = route.response_class
    if not isinstance(response_class, DefaultPlaceholder) or route.is_sse_stream or route.is_json_stream:
        return None
    try:
        step = _Step.of(route.dependant)
    except NotComposed:
        return None
    takes_body, status = bool(route.body_field), route.status_code or 200
    field: Any = route.response_field

    async def handler(request: Request) -> Response:
        body = await _body_of(request) if takes_body else PydanticUndefined
        errors: list[Any] = []
        values = await step.values(request, body, {}, errors)
        if errors:
            raise RequestValidationError(errors, body=None if body is PydanticUndefined else body)
        answer = await step.call(**values)
        if isinstance(answer, Response):
            return answer
        if field is None:
            return (
                Response(status_code=status) if status == 204 else Response(b"null", status, media_type=JSON)
            )
        return Response(_written(field, answer), status, media_type=JSON)

    return handler


async def _body_of(request: Request) -> Any:
    """The text of a body that says it is JSON, its bytes else; undefined where there is none."""
    given = await request.body()
    if not given:
        return PydanticUndefined
    kind = request.headers.get("content-type")
    return await request.json() if kind == JSON or (kind and _is_json(kind)) else given


def _is_json(kind: str) -> bool:
    message = email.message.Message()
    message["content-type"] = kind
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )


def _written(field: Any, answer: Any) -> bytes:
    """An answer as JSON. Raises ResponseValidationError for what the route does not declare."""
    if type(answer) is field.field_info.annotation and isinstance(answer, BaseModel):
        return answer.model_dump_json(by_alias=True).encode()
    value, errors = field.validate(answer, {}, loc=("response",))
    if errors:
        raise ResponseValidationError(errors=errors, body=answer)
    written: bytes = field.serialize_json(value, by_alias=True)
    return written
