"""How a household and its signer are recognised again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from services.pledges.domain.identity import keys_of, normal_door, normal_name
from services.pledges.domain.pledge import code_text, new_code
from shared.views import normal_phone


@pytest.mark.parametrize(
    "door", ["3幢2单元501室", "３-2-501", "3 栋 2 单元 0501", "03号楼2单元501", "3#2-501"]
)
def test_ways_to_write_one_door(door: str) -> None:
    assert normal_door(door) == "3-2-501"


def test_other_doors_are_other_doors() -> None:
    doors = ["3-2-501", "32-501", "3-25-01", "3-2-50-1", "A3-2-501", "3-2-5010"]
    assert len({normal_door(door) for door in doors}) == len(doors)


@pytest.mark.parametrize(
    "phone", ["13800001111", "+86 138-0000-1111", "008613800001111", "１３８００００１１１１"]
)
def test_ways_to_write_one_phone(phone: str) -> None:
    assert normal_phone(phone) == "13800001111"


@given(st.text(max_size=15) | st.from_regex(r"(\+86)?1\d{10}", fullmatch=True))
def test_a_phone_is_eleven_digits_or_an_error_that_does_not_repeat_it(text: str) -> None:
    try:
        assert len(normal_phone(text)) == 11
    except PydanticCustomError as error:
        assert len(text.strip()) < 3 or text not in str(error)


@given(st.text(min_size=1, max_size=20))
def test_normal_forms_are_stable(text: str) -> None:
    assert normal_name(normal_name(text)) == normal_name(text)
    assert normal_door(normal_door(text)) == normal_door(text)


def test_a_household_is_known_by_its_door_or_else_by_its_signer() -> None:
    def keys(**change: str | None) -> set[str]:
        form = {"community": "1", "door": "1-1", "phone": "13800001111", "name": "王 芳"} | change
        return set(keys_of(str, **form).identities)  # type: ignore[arg-type]

    assert keys() & keys(phone="13800002222", name="李")  # the same door
    assert keys() & keys(door="2-2", name="王芳")  # the same signer
    assert not keys() & keys(door="2-2", name="王芬")  # a shared phone
    assert not keys() & keys(community="2", phone="13800002222")
    assert len(keys(door=None)) == 1


def test_codes_are_six_digits_and_belong_to_one_form() -> None:
    codes = {new_code() for _ in range(2000)}
    assert all(len(code) == 6 and code.isdecimal() for code in codes)
    assert len(codes) > 1900
    assert code_text("a", "123456") != code_text("b", "123456")
