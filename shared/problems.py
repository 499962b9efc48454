"""Errors as RFC 9457 problem details: each declared once with its status, rendered by one handler."""

import re
from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from shared import security_log

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "https://women.quzhou.example/problems/"


class Problem(Exception):
    """An error with an HTTP status and a stable type; `facts` become members of the answer.

    Subclasses state `status`, `type` (a slug), and the title in Chinese and English.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal"
    title: ClassVar[str] = "系统内部错误"
    title_en: ClassVar[str] = "Internal error"

    def __init__(
        self, detail: str | None = None, *, headers: dict[str, str] | None = None, **facts: Any
    ) -> None:
        super().__init__(detail or self.title_en)
        self.detail = detail
        self.headers = headers or {}
        self.facts = facts

    @property
    def reason(self) -> str:
        """Why, for the security log: a word of ours, never what a caller sent."""
        return self.type

    def body(self) -> dict[str, Any]:
        """The members of the problem document."""
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.type,
            "title": f"{self.title} / {self.title_en}",
            "status": self.status,
        }
        if self.detail:
            body["detail"] = self.detail
        return body | self.facts


class NotFound(Problem):
    """There is nothing under this id."""

    status, type, title, title_en = 404, "not-found", "未找到", "Not found"


class Erased(Problem):
    """The person this is about was erased: nothing can be kept about them any more."""

    status, type, title, title_en = 410, "erased", "个人信息已删除", "The person was erased"


class InvalidRequest(Problem):
    """The request's fields do not hold; `errors` names each field, at most 20 of them; `more` counts the
    others."""

    status, type, title, title_en = 422, "invalid-request", "请求内容有误", "The request is not valid"


class TooLarge(Problem):
    """The body is above the limit."""

    status, type, title, title_en = 413, "too-large", "请求内容过大", "The request body is too large"


class Unavailable(Problem):
    """A part we need is away; nothing was done, or it is not known: repeat with the same key."""

    status, type, title, title_en = (
        503,
        "unavailable",
        "服务暂时不可用，请稍后重试",
        "Temporarily unavailable",
    )

    def __init__(self, detail: str | None = None, *, retry_after: int = 2, **facts: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, **facts)


class VersionConflict(Problem):
    """Somebody else changed the document in between."""

    status, type, title, title_en = (
        409,
        "version-conflict",
        "数据已被他人修改，请重试",
        "Changed by someone else",
    )


class StaleVersion(Problem):
    """`If-Match` names another version than the current one."""

    status, type, title, title_en = 412, "stale-version", "版本已过期", "If-Match names an outdated version"


class AlreadyExists(Problem):
    """A unique fact is taken. `existing` (an id) says by which document, where whoever meets it may know
    (`Index.tells`): a neighbour's record is not named to who typed her phone."""

    status, type, title, title_en = 409, "already-exists", "已存在", "Already exists"

    def __init__(self, index: str, key: dict[str, Any], found_by: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.index = index
        self.key = key
        self.found_by = found_by
        """What finds that document; None where nobody is told of it."""


class Full(Problem):
    """What the record is to keep is above its bound: `what` names it (a list, or the whole `document`),
    `most` is how many entries it may have (of the whole: bytes)."""

    status, type, title, title_en = 409, "full", "记录已满", "The record is full"


class NotStored(Problem):
    """The database refused the write; `code` is MongoDB's reason. Nothing was done."""

    status, type, title, title_en = 500, "not-stored", "数据库拒绝写入", "The database refused the write"


class EventTooLarge(Problem):
    """What would have to be announced is above the limit of an event; nothing was done."""

    status, type, title, title_en = 422, "event-too-large", "事件内容过大", "The event would be too large"


class AnswerNotKept(Problem):
    """It was done before, under this `Idempotency-Key`: `done` is the status that was answered, `at` when.
    The answer was too large to be kept; look at what it was about."""

    status, type = 409, "answer-not-kept"
    title, title_en = "已办理，原答复未保留", "Done before; its answer is not kept"


class KeyReused(Problem):
    """The `Idempotency-Key` was used with another request."""

    status, type = 422, "idempotency-key-reused"
    title, title_en = "幂等键已用于其他请求", "The Idempotency-Key was used for another request"


class TooManyRequests(Problem):
    """A limit was reached; `Retry-After` says when to come again."""

    status, type, title, title_en = 429, "too-many-requests", "操作过于频繁", "Too many requests"

    def __init__(self, retry_after: int, detail: str | None = None, **facts: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, retry_after=retry_after, **facts)


class NoSuchRoute(Problem):
    """There is nothing under this path."""

    status, type, title, title_en = 404, "no-such-route", "没有此地址", "No such route"


class MethodNotAllowed(Problem):
    """The path knows other methods; `Allow` says which."""

    status, type, title, title_en = 405, "method-not-allowed", "不支持此方法", "Method not allowed"


class BadRequest(Problem):
    """The request cannot be read."""

    status, type, title, title_en = 400, "bad-request", "请求无法解析", "The request cannot be read"


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
