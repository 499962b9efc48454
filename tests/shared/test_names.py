"""Names: what is one, what is the same one, and what others see of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.model.names import Name, mask_name, normal_name

KEPT = [
    ("王小明", "王小明"),
    (" 王 小明\u3000", "王 小明"),
    ("\u202e王小明", "王小明"),
    ("王\u200b小明", "王小明"),
    ("𠮷田", "𠮷田"),
    ("张\U0003134a", "张\U0003134a"),  # planes 2 and 3, one of them newer than Python's Unicode
    ("李\U0002ebf5", "李\U0002ebf5"),
    ("武〇", "武〇"),
    ("阿依古丽·买买提", "阿依古丽·买买提"),
    ("阿依古丽．买买提", "阿依古丽·买买提"),
    ("阿依古丽 • 买买提", "阿依古丽·买买提"),
    ("阿依古丽.买买提", "阿依古丽·买买提"),
    ("阿依古丽・・买买提·", "阿依古丽·买买提"),
    ("John  Smith", "John Smith"),
    ("Jose\u0301", "José"),
    ("Нургуль", "Нургуль"),
    ("ئايگۈل", "ئايگۈل"),
    ("བཀྲ་ཤིས".replace("་", " "), "བཀྲ ཤིས"),
    ("अंकिता", "अंकिता"),
]


@pytest.mark.parametrize(("typed", "kept"), KEPT)
def test_names_of_every_script_are_kept_in_one_way(typed: str, kept: str) -> None:
    assert TypeAdapter(Name).validate_python(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "",
            " ",
            "·",
            "···",
            "\u200b",
            "\u3164",
            "王\x00明",
            "王\x07明",
            "王\n明",
            "王小明\n",
            "王\u2028明",
            "😀",
        ),
        *(
            "王😀",
            "<script>",
            "<b>王</b>",
            '=HYPERLINK("x")',
            "12345",
            "王1",
            "+王",
            "@王",
            "王;明",
            "\u0301王",
            "王" * 41,
        ),
    ],
)
def test_what_is_no_name_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(Name).validate_python(typed)
    assert [found["type"] for found in error.value.errors()] in (["name"], ["blank"])


@pytest.mark.parametrize(
    "others",
    [
        [
            "阿依古丽·买买提",
            "阿依古丽．买买提",
            "阿依古丽.买买提",
            "阿依古丽・买买提",
            "阿依古丽 • 买买提",
            "阿依古丽‧买买提",
        ],
        ["王小明", "王 小明", "王\u200b小明", "\u202e王小明"],
        ["Ａｎｎａ", "anna", "ANNA"],
        ["José", "Jose\u0301"],
    ],
)
def test_spellings_of_one_name_match(others: list[str]) -> None:
    assert len({normal_name(name) for name in others}) == 1


def test_other_names_do_not_match() -> None:
    assert len({normal_name(name) for name in ("王芳", "王芬", "阿依古丽·买买提", "阿依古丽买买提")}) == 4


@given(st.text(min_size=1, max_size=20))
def test_a_name_that_is_matched_again_is_the_same(text: str) -> None:
    assert normal_name(normal_name(text)) == normal_name(text)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("王小明", "王**"),
        ("欧阳娜娜", "欧阳**"),
        ("司马光", "司马**"),
        ("諸葛亮", "諸葛**"),
        ("上官婉儿", "上官**"),
        ("欧阳", "欧**"),  # the surname 欧 and a given name
        ("阿依古丽·买买提", "阿**"),
        ("John Smith", "J**"),
        ("\u202e王小明", "王**"),  # stored before names were checked
        ("किरण", "कि**"),
        ("𠮷田", "𠮷**"),
        ("\u200b", "**"),
        (None, "（已删除）"),
    ],
)
def test_others_see_the_surname_only(name: str | None, shown: str) -> None:
    assert mask_name(name) == shown
