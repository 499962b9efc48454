"""JSON bodies of requests, read in one place and strictly (domain.md, "Requests are strict").

FastAPI parses a body and validates the Python objects, where a date is a text like any other, so that
strict would refuse it. Here the text itself goes to pydantic, which knows what JSON can say: no boolean for a
number, no text for a number, no number for a text; and it is read after the caller was let in. What holds is
looked through for keys that stand twice: pydantic takes the last one.
"""

import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from shared.http.composed import composed
from shared.http.views import DocumentView

MANY = 200
"""Faults above which they are not told one by one: nobody makes so many but to keep us busy."""


class JsonText(bytes):
    """The body of a request that says it is JSON, as it came."""


class Body(BaseModel):
    """Base of every request body. It is strict JSON, and a field we do not know is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The model's own, which also reads the text of a request; a body within another need not."""
        own = handler(source)
        if own["type"] == "json-or-python":  # that of a class which is complete: pydantic asks again
            return own
        schema: Any = {**own}
        ref = schema.pop("ref", None)  # names it in OpenAPI: the whole has it, and not a part

        def read(value: Any, handle: core_schema.ValidatorFunctionWrapHandler) -> Any:
            return _read(cls, value) if isinstance(value, JsonText) else handle(value)

        reading = core_schema.no_info_wrap_validator_function(read, schema)
        return core_schema.json_or_python_schema(json_schema=schema, python_schema=reading, ref=ref)


class _JsonRequest(Request):
    async def json(self) -> JsonText:
        """The body for a `Body` to read; called by FastAPI where the content type is JSON's."""
        return JsonText(await self.body())


class JsonRoute(APIRoute):
    """A route whose function is a coroutine's and whose body, if it has one, is one `Body`. Raises TypeError
    for another."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if not iscoroutinefunction(endpoint):
            raise TypeError(f"{path}: a route is an async function")
        super().__init__(path, _telling_version(endpoint), **options)
        bodies = [field.field_info.annotation for field in self.dependant.body_params]
        if len(bodies) > 1 or not all(isinstance(body, type) and issubclass(body, Body) for body in bodies):
            raise TypeError(f"{path}: a request has one body, of a class derived from Body")

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler: composed, else FastAPI's own (see `composed`); given the body as text."""
        handle = composed(self) or super().get_route_handler()

        async def handler(request: Request) -> Response:
            _etag.set(None)
            response = await handle(_JsonRequest(request.scope, request.receive, request._send))
            if etag := _etag.get():
                response.headers.setdefault("ETag", etag)
            return response

        return handler


_etag: ContextVar[str | None] = ContextVar("etag", default=None)
"""Of the document that the route at work has answered with."""


def _telling_version(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The route's function, which also leaves the version of what it shows, for a later `If-Match`."""

    @wraps(endpoint)
    async def telling(**parameters: Any) -> Any:
        answer = await endpoint(**parameters)
        if isinstance(answer, DocumentView):
            _etag.set(answer.etag)
        return answer

    return telling


class Router(APIRouter):
    """The router of every module of a service's API."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=JsonRoute, **options)


def _read(model: type[Body], text: JsonText) -> Body:
    try:
        body: Body = model.__pydantic_validator__.validate_json(text)
    except ValidationError as error:
        if error.error_count() <= MANY:
            raise
        message = "{count} 处有误 / {count} faults"
        raise PydanticCustomError("too_many_faults", message, {"count": error.error_count()}) from None
    _check_keys(model, text)
    return body


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────


class _Pairs(list[tuple[str, Any]]):
    """An object with all its keys."""


def _check_keys(model: type[Body], text: JsonText) -> None:
    """Raises ValidationError naming each key that stands twice in its object."""
    repeated = False

    def look(pairs: list[tuple[str, Any]]) -> _Pairs:
        nonlocal repeated
        repeated = repeated or len(dict(pairs)) != len(pairs)
        return _Pairs(pairs)

    read = json.loads(text, object_pairs_hook=look)
    if repeated:
        fault = PydanticCustomError("repeated_key", "此项重复 / the key stands twice")
        errors = [InitErrorDetails(type=fault, loc=path, input=None) for path in _repeated(read, ())]
        raise ValidationError.from_exception_data(model.__name__, errors)


def _repeated(read: Any, path: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    """The paths of the keys that stand twice."""
    if isinstance(read, _Pairs):
        yield from ((*path, key) for key, times in Counter(key for key, _ in read).items() if times > 1)
        for key, value in read:
            yield from _repeated(value, (*path, key))
    elif isinstance(read, list):
        for index, value in enumerate(read):
            yield from _repeated(value, (*path, index))
