"""How errors are answered: every problem by one renderer, whatever refused the request."""

import re
from collections.abc import Callable
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from shared import security_log
from shared.model.problems import (
    MEDIA_TYPE,
    BadRequest,
    InvalidRequest,
    MethodNotAllowed,
    NoSuchRoute,
    Problem,
)

MOST_ERRORS = 20
"""Told in one answer; `more` counts the others."""
MOST_OF_A_NAME = 60
"""Characters of a field's name: the caller may have made it up, and an answer stays below 8 KiB."""
_unprintable = re.compile(r"[\x00-\x1f\x7f-\x9f\"\\]")
"""What JSON would write in several characters."""

_CHINESE = {
    "missing": "缺少此项",
    "extra_forbidden": "没有此项",
    "string_too": "长度不符合要求",
    "string_pattern": "格式不符合要求",
    "too_": "数量不符合要求",
    "greater": "数值过小",
    "less": "数值过大",
    "literal_error": "须为规定的值",
    "enum": "须为规定的值",
    "int": "须为整数",
    "bool": "须为 true 或 false",
    "date": "日期或时间不正确",
    "timezone": "时间须注明时区",
    "url": "网址不正确",
    "json": "不是有效的 JSON",
    "string": "须为文本",
    "model": "须为对象",
    "dict": "须为对象",
    "list": "须为列表",
}
"""What pydantic's kinds of errors are called, by how they begin."""


def render(problem: Problem) -> Response:
    """The HTTP answer of a problem."""
    body = orjson.dumps(problem.body())
    return Response(body, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


RENDERER = "renders_problems"
"""Where in a request's scope a route puts its own way to say a problem, in a format that has one."""


def answer_to(scope: Scope, problem: Problem) -> Response:
    """The HTTP answer of a problem, as the request's route says it."""
    rendered: Callable[[Problem], Response] = scope.get(RENDERER, render)
    return rendered(problem)


def _refused(error: HTTPException) -> Problem:
    """What the framework itself refuses."""
    if error.status_code == 400:  # a body that is no JSON at all, as against one with a fault in it
        message = "无法解析为 JSON / cannot be read as JSON"
        return InvalidRequest(errors=[{"field": "body", "message": message, "kind": "json_invalid"}])
    known: dict[int, type[Problem]] = {404: NoSuchRoute, 405: MethodNotAllowed}
    return known.get(error.status_code, BadRequest)(headers=dict(error.headers or {}))


def _allowed(request: Request) -> str:
    """The methods of all routes of this path: the framework names those of the first it meets."""
    routes = iter_route_contexts(request.app.routes)
    of_path = (route.methods for route in routes if route.matches(request.scope)[0] is Match.PARTIAL)
    methods = {method for methods in of_path for method in methods or ()}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _invalid(error: RequestValidationError) -> InvalidRequest:
    """Name the fields, as many as anybody reads; never echo the input, which may be personal."""
    found = error.errors()
    errors = [
        {
            "field": _bounded(".".join(str(part) for part in item["loc"])),
            "message": _in_chinese(item["type"], item["msg"]),
            "kind": item["type"],
        }
        for item in found[:MOST_ERRORS]
    ]
    more: dict[str, Any] = {"more": len(found) - MOST_ERRORS} if len(found) > MOST_ERRORS else {}
    return InvalidRequest(errors=errors, **more)


def _bounded(name: str) -> str:
    return _unprintable.sub("\N{REPLACEMENT CHARACTER}", name[:MOST_OF_A_NAME])


def _in_chinese(kind: str, message: str) -> str:
    """The message in both languages; our own rules' are."""
    if " / " in message:
        return message
    found = next((text for start, text in _CHINESE.items() if kind.startswith(start)), "格式不正确")
    return f"{found} / {message}"


def install(app: Starlette) -> None:
    """Make `app` answer every error as a problem."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        security_log.answered(error.status, error.reason)
        return answer_to(request.scope, error)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer_to(request.scope, _invalid(error))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem = _refused(error)
        if isinstance(problem, MethodNotAllowed):
            problem.headers["Allow"] = _allowed(request)
        return answer_to(request.scope, problem)

    async def on_bug(request: Request, error: Exception) -> Response:
        return answer_to(request.scope, Problem())

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)
