"""Errors as RFC 9457 problem details: each declared once with its status, rendered by one handler."""

from typing import Any, ClassVar, TypeAlias

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
    registry: ClassVar[dict[str, "ProblemClass"]] = {}
    """By type: answers are told apart by it, whichever service gives them."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        known = Problem.registry.setdefault(cls.type, cls)
        if known is not cls or cls.type == Problem.type:
            both = f"{known.__module__}.{known.__qualname__}, {cls.__module__}.{cls.__qualname__}"
            raise TypeError(f"the problem type {cls.type} is declared twice: {both}")

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


ProblemClass: TypeAlias = type[Problem]


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


class TooEarly(Problem):
    """What is to be reported has not begun; `starts_at` says when it does."""

    status, type, title, title_en = 409, "too-early", "尚未开始", "It has not begun"


class WrongCode(Problem):
    """Not the code that was sent, or there is none any more; `tries_left` of them."""

    status, type, title, title_en = 422, "wrong-code", "验证码不正确", "The code is wrong"


class BadRequest(Problem):
    """The request cannot be read."""

    status, type, title, title_en = 400, "bad-request", "请求无法解析", "The request cannot be read"
