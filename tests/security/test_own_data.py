"""Whatever a service holds about somebody, she reads all of it and no keyed hash; then she is erased. The
documents are made from the declarations of all services, so that none is left out.
"""

from datetime import date, datetime
from enum import Enum
from types import NoneType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from jinguo.services import SERVICES
from shared.http.belonging import parts_of
from shared.http.identity import Role
from shared.model.clock import now
from shared.model.documents import Document
from shared.model.known import keyed_fields
from shared.model.personal import personal_fields
from shared.model.roles import Caller
from shared.service import Service
from shared.store.store import Store
from tests.kit.issuing import Issuing
from tests.security.whole_city import City

HER = Caller(id="owner", role=Role.RESIDENT, phone="13857009876")
WITH_PERSONS = [service for service in SERVICES if service.persons]


def some(kind: Any) -> Any:
    """Any value of a type."""
    if NoneType in get_args(kind):
        return None
    if not isinstance(kind, type):
        return []
    if issubclass(kind, BaseModel):
        return needed(kind)
    if issubclass(kind, Enum):
        return next(iter(kind))
    return {str: "some", int: 1, datetime: now(), date: now().date()}[kind]


def needed(model: type[BaseModel]) -> dict[str, Any]:
    """What a document or a part of one cannot be without."""
    return {name: some(field.annotation) for name, field in model.model_fields.items() if field.is_required()}


async def hers(store: Store, model: type[Document], **about: Any) -> Document:
    """A document that is hers, or part of what is; every personal field says its name, each key too."""
    given = {name: f"keyed-{name}" for name in keyed_fields(model) if "." not in name}
    given |= {
        name: [value] for name, value in given.items() if model.model_fields[name].annotation is not str
    }
    for way in model.known_by:
        key, (first, *rest) = way.key(store.vault.blind_index, HER), way.field.split(".")
        given[first] = {rest[0]: key} if rest else key
    given |= {name: f"clear-{name}" for name in personal_fields(model)}
    if model.person_field:
        given[model.person_field] = about.pop("person", None) or await store.vault.new_person()
    return await store.commit(model.model_validate(needed(model) | given | about))


@pytest.mark.parametrize("service", WITH_PERSONS, ids=lambda service: service.name)
async def test_every_personal_field_comes_back_to_its_owner_and_no_keyed_hash(
    city: City, issuer: Issuing, service: Service
) -> None:
    store, models = city.host.stores[service.name], service.documents
    headers = issuer.bearer(Role.RESIDENT, None, subject=HER.id, phone=f"+86{HER.phone}")
    stranger = issuer.bearer(Role.RESIDENT, None, subject="stranger", phone="+8613012345678")
    made: list[Document] = []
    for model in models:
        if model.known_by:
            made.append(whole := await hers(store, model))
            for part, where in parts_of(whole, models).items():
                made.append(await hers(store, part, person=whole.person_id, **where))
    assert {type(one) for one in made} >= {model for model in models if personal_fields(model)}

    answer = await city.http.get(f"/{service.name}/me", headers=headers)
    shown = {
        record["id"]: record for held in answer.json() for rows in held["records"].values() for record in rows
    }
    assert shown.keys() >= {one.id for one in made}
    for one in made:
        in_clear = {name: f"clear-{name}" for name in personal_fields(type(one))}
        assert shown[one.id].items() >= in_clear.items()
        keys = {way.key(store.vault.blind_index, HER) for way in one.known_by}
        assert not [key for key in (*keys, "keyed-") if key in answer.text], type(one)
    assert (await city.http.get(f"/{service.name}/me", headers=stranger)).json() == []

    erased = await city.http.post(f"/{service.name}/me/erase", headers=headers)
    assert len(erased.json()) == len([one for one in made if one.known_by and not one.kept])
    left = (await city.http.get(f"/{service.name}/me", headers=headers)).json()
    assert len(left) == len([one for one in made if one.kept])


@pytest.mark.parametrize("service", WITH_PERSONS, ids=lambda service: service.name)
def test_what_is_called_a_key_is_marked_as_one(service: Service) -> None:
    for model in service.documents:
        if (model.known_by or model.part_of) and not model.kept:
            called = {name for name in model.model_fields if name.endswith("_key")}
            assert called <= keyed_fields(model), model


async def test_what_waits_for_a_resident_is_her_own(city: City, issuer: Issuing) -> None:
    [pledges] = [service for service in SERVICES if service.name == "pledges"]
    for model in pledges.documents:
        if model.known_by:
            await hers(city.host.stores["pledges"], model)
    for subject, kinds in ((HER.id, ["pledges"]), ("stranger", [])):
        headers = issuer.bearer(Role.RESIDENT, None, subject=subject)
        waiting = (await city.http.get("/pledges/work", headers=headers)).json()["items"]
        assert [item["kind"] for item in waiting] == kinds
