"""How a household and its signer are recognised again."""

from services.pledges.domain.identity import keys_of
from services.pledges.domain.pledge import code_text, new_code
from tests.services.pledges.town import COMMUNITY, ELSEWHERE


def test_a_household_is_known_by_its_door_or_else_by_its_signer() -> None:
    def keys(**change: str | None) -> set[str]:
        form = {"community": COMMUNITY, "door": "1-1", "phone": "13800001111", "name": "王 芳"} | change
        return set(keys_of(str, **form).identities)  # type: ignore[arg-type]

    assert keys() & keys(phone="13800002222", name="李")  # the same door
    assert keys() & keys(door="2-2", name="王芳")  # the same signer
    assert not keys() & keys(door="2-2", name="王芬")  # a shared phone
    assert not keys() & keys(community=ELSEWHERE, phone="13800002222")
    assert len(keys(door=None)) == 1


def test_codes_are_six_digits_and_belong_to_one_form() -> None:
    codes = {new_code() for _ in range(2000)}
    assert all(len(code) == 6 and code.isdecimal() for code in codes)
    assert len(codes) > 1900
    assert code_text("a", "123456") != code_text("b", "123456")
