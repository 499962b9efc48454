"""Requests are strict JSON: a value is of the type it is meant to be, and a key stands once."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import orjson
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from pydantic import BaseModel, Field

from shared.http import answers
from shared.http.routes import Body, Router
from shared.http.views import Consent, GivenDay, Instant


class Colour(StrEnum):
    RED = "red"


class Inner(Body):
    day: GivenDay | None = None
    count: int = 0


class Outer(Body):
    members: Annotated[int, Field(ge=1)] = 1
    share: float = 0
    name: str = ""
    open: bool = False
    consent: Consent = True
    day: GivenDay = date(2020, 3, 8)
    at: Instant | None = None
    colour: Colour = Colour.RED
    inner: Inner = Inner()
    inners: Annotated[list[Inner], Field(max_length=3, default_factory=list)]


router = Router()


@router.post("/things")
async def make(body: Outer, limit: int = 1) -> dict[str, Any]:
    return body.model_dump(mode="json") | {"limit": limit}


app = FastAPI()
app.include_router(router)
answers.install(app)


async def post(text: str | bytes, content_type: str = "application/json", **query: str) -> Response:
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://toy") as http:
        headers = {"Content-Type": content_type}
        return await http.post("/things", content=text, headers=headers, params=query)


def faults(answer: Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {error["field"]: error["kind"] for error in answer.json()["errors"]}


async def test_dates_instants_and_choices_are_texts_in_json() -> None:
    text = '{"day":"2020-04-01","at":"2020-04-01T00:00:00+08:00","colour":"red","inner":{"day":"2020-05-01"}}'
    answer = await post(text, limit="7")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["day"], told["at"], told["inner"]["day"]) == (
        "2020-04-01",
        "2020-03-31T16:00:00Z",
        "2020-05-01",
    )
    assert (told["colour"], told["limit"]) == ("red", 7), "what stands in a query is text"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("members", value) for value in ("true", '"3"', "3.0", "3.5", "null", "[]", "1e0")),
        *(("share", value) for value in ("true", '"0.5"', "NaN", "Infinity")),
        *(("name", value) for value in ("5", "true", "null", "{}")),
        *(("open", value) for value in ("1", "0", '"true"', '"yes"', "null")),
        *(("consent", value) for value in ("1", "1.0", '"true"', "false", "null")),
        *(
            ("day", value)
            for value in ("0", "20200401", '"0"', '"1585699200"', "true", '"2020-04-01T00:00:01"')
        ),
        *(("at", value) for value in ("0", "1585699200", '"1585699200"', "true", '"2020-04-01"')),
        *(("colour", value) for value in ("1", '"blue"', "true")),
        *(("inner.count", value) for value in ("true", '"3"')),
        *(("inner.day", value) for value in ("0", '"0"')),
    ],
)
async def test_a_value_of_another_type_is_422_naming_the_field(field: str, value: str) -> None:
    outer, _, inner = field.partition(".")
    text = f'{{"{outer}":{{"{inner}":{value}}}}}' if inner else f'{{"{outer}":{value}}}'
    assert list(faults(await post(text))) == [f"body.{field}"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"members":1,"members":1}', "body.members"),
        ('{"members":1,"m\\u0065mbers":2}', "body.members"),
        ('{"inner":{"count":1,"count":1}}', "body.inner.count"),
        ('{"inners":[{},{"count":1,"count":2}]}', "body.inners.1.count"),
    ],
)
async def test_a_key_that_stands_twice_is_422_naming_it(text: str, field: str) -> None:
    assert faults(await post(text)) == {field: "repeated_key"}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '"a"', "\ufeff{}", "{'members': 1}", "{}{}"])
async def test_what_is_no_object_in_json_is_422_naming_the_body(text: str) -> None:
    assert list(faults(await post(text))) == ["body"]
    assert list(faults(await post(text.encode("utf-16")))) == ["body"]


async def test_a_body_that_does_not_say_that_it_is_json_is_422() -> None:
    assert list(faults(await post("{}", content_type="text/plain"))) == ["body"]


def test_a_route_with_a_body_that_would_not_be_read_strictly_is_not_made() -> None:
    class Lax(BaseModel):
        members: int

    async def lax(body: Lax) -> None: ...

    async def several(one: Inner, other: Inner) -> None: ...

    for endpoint in (lax, several):
        with pytest.raises(TypeError, match="derived from Body"):
            Router().post("/things")(endpoint)


def test_a_body_is_made_in_python_as_any_model_is() -> None:
    assert Outer(members=3, inner=Inner(count=2)).inner.count == 2
    assert orjson.loads(orjson.dumps(Outer.model_json_schema()))["additionalProperties"] is False
