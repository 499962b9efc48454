"""What people type: kept clean, matched whatever its spelling."""

import sys
import unicodedata
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from shared.model.text import (
    MARKS,
    Code,
    Line,
    Lines,
    cleaned,
    cleaned_lines,
    folded,
    normal_phone,
    phone_or_none,
)

FILLERS = "\u115f\u1160\u3164\uffa0\u2800\u034f\u180e\ufe0f\U000e0100\U000e0041"
texts = st.text(max_size=30) | st.text(
    st.sampled_from("aé가ﬁＡ①·. \n\t\u200b\u0301\u0323\u3164王"), max_size=20
)


def test_no_control_or_format_character_of_the_whole_of_unicode_is_kept() -> None:
    unseen = {
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf")
    }
    assert len(unseen) > 200
    kept = {char for char in unseen if cleaned(f"王{char}芳") not in ("王芳", "王 芳")}
    assert kept == set()
    assert {char for char in unseen if len(cleaned(f"王{char}芳")) == 3} == set("\t\n\v\f\r\x85")
    assert {char for char in unseen if len(cleaned_lines(f"王{char}芳")) == 3} == set("\t\n\v\f\r\x85")


@pytest.mark.parametrize("char", [*FILLERS, "\ufdd0", "\ufffe", "\U0010ffff"])
def test_fillers_variation_selectors_tags_and_noncharacters_are_not_kept(char: str) -> None:
    assert cleaned(f"王{char}芳{char}") == "王芳"
    assert cleaned(char * 3) == cleaned_lines(char * 3) == ""


def test_texts_are_composed_and_trimmed() -> None:
    assert cleaned("\u3000 e\u0301t\u200be\u0301\n") == "été"
    assert cleaned("公筷\r\n公勺\t进家庭") == "公筷 公勺 进家庭"
    assert cleaned_lines(" 一\r\n二\r三\u2028四\t五\x07\n") == "一\n二\n三\n四\t五"


def test_what_is_matched_is_folded_whatever_its_width_and_case() -> None:
    assert folded("ＷＡＮＧ") == folded("wang") == folded("W\u200bang ") == "wang"
    assert folded("Straße") == folded("STRASSE")
    assert folded("㊂幢") == "三幢"


@given(texts)
def test_cleaning_and_folding_again_changes_nothing(text: str) -> None:
    assert cleaned(cleaned(text)) == cleaned(text)
    assert cleaned_lines(cleaned_lines(text)) == cleaned_lines(text)
    assert folded(folded(text)) == folded(cleaned(text)) == folded(text)


def test_marks_that_are_piled_up_cost_no_time_and_are_cut() -> None:
    piled = "a" + "\u0301\u0323" * 30_000
    assert len(cleaned(piled)) <= MARKS + 1
    assert cleaned("Việt Nam") == cleaned(unicodedata.normalize("NFD", "Việt Nam")) == "Việt Nam"


# ── field types ──────────────────────────────────────────────────────────────────────────────────────


def refused(type_: Any, text: str) -> list[str]:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(type_).validate_python(text)
    return [found["type"] for found in error.value.errors()]


def test_a_line_is_one_line_and_lines_are_several() -> None:
    assert TypeAdapter(Annotated[str, Line(4)]).validate_python("\u202e一\n二 ") == "一 二"
    assert TypeAdapter(Annotated[str, Lines(4)]).validate_python("一\r\n二\x00") == "一\n二"


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\u3164\u3164", "\x00"])
def test_a_text_in_which_nothing_can_be_seen_is_refused(text: str) -> None:
    assert refused(Annotated[str, Line(100)], text) == refused(Annotated[str, Lines(100)], text) == ["blank"]


def test_the_length_that_counts_is_that_of_what_is_kept() -> None:
    assert TypeAdapter(Annotated[str, Line(2)]).validate_python("\u200b一二\u200b") == "一二"
    assert refused(Annotated[str, Line(2)], "一二三") == ["text_length"]
    assert refused(Annotated[str, Lines(9, least=3)], "一\u200b二") == ["text_length"]
    assert refused(Annotated[str, Line(2)], "一" * 5) == ["string_too_long"]


@pytest.mark.parametrize(
    "phone",
    [
        *("13800001111", "+86 138-0000-1111", "008613800001111", "8613800001111", "１３８００００１１１１"),
        *(
            "١٣٨٠٠٠٠١١١١",
            "۱۳۸۰۰۰۰۱۱۱۱",
            "१३८००००११११",
            "\u202a13800001111\u202c",
            "(+86)138\u20110000\u20111111",
        ),
        *(
            " 138 0000 1111\n",
            "+８６ 138 0000 1111",
            "138·0000·1111",
            "138.0000.1111",
            "\u200e138\u200b00001111",
        ),
    ],
)
def test_a_phone_is_written_in_one_way_however_it_is_typed(phone: str) -> None:
    assert normal_phone(phone) == "13800001111"


@pytest.mark.parametrize(
    "phone", ["", "12800001111", "1380000111", "138000011112", "86138000011", "+1 202 555 0101"]
)
def test_what_is_no_mobile_number_is_refused(phone: str) -> None:
    with pytest.raises(PydanticCustomError):
        normal_phone(phone)
    assert phone_or_none(phone) is None
    assert phone_or_none(13800001111) is None


@given(st.text(max_size=15) | st.from_regex(r"(\+86)?1\d{10}", fullmatch=True))
def test_a_phone_is_eleven_digits_or_an_error_that_does_not_repeat_it(text: str) -> None:
    try:
        assert len(normal_phone(text)) == 11
    except PydanticCustomError as error:
        assert len(text.strip()) < 3 or text not in str(error)


@pytest.mark.parametrize(
    "code", ["123456", "１２３４５６", " 123456\r\n", "123 456", "١٢٣٤٥٦", "\u200b123456\u3000"]
)
def test_a_code_is_six_digits_in_any_width_with_any_blanks(code: str) -> None:
    assert TypeAdapter(Code).validate_python(code) == "123456"


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "一二三四五六", "²²²²²²x"])
def test_what_is_no_six_digits_is_no_code(code: str) -> None:
    assert refused(Code, code) == ["code"]
