"""Doors: one household however its address is written, and no two that are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.city.divisions import communities, path_name
from shared.model.doors import Door, normal_door

COMMUNITY, STREETS, VILLAGE = "330802005001", "330802006001", "330802005200"
"""金桂社区 in 新新街道, 蛟池街社区 in 府山街道, and 童村碓村委会."""

SAME = {
    "3-201": [
        *(
            "3幢201室",
            "３-201",
            "3 栋 0201",
            "03号楼201",
            "3#201",
            "第3幢201室",
            "3幢（201）",
            "3—201",
            "3棟201號",
        ),
        *("3幢\u200b201室", "3\u202e幢201室", "٣幢٢٠١室", "③幢201"),
        *("三幢二〇一室", "三幢二零一室", "叁号楼贰零壹室", "三幢二○一", "三幢二o一", "3幢二0一"),
        *(
            "新新街道3幢201室",
            "新新街道三幢二〇一室",
            "金桂社区3幢201室",
            "金桂社区居委会 3幢201室",
            "金桂3幢201",
        ),
        *("柯城区新新街道金桂社区3幢201室", "柯城新新金桂3幢201室", "衢州市柯城区新新街道办事处3幢201室"),
        *("浙江省衢州市柯城区新新街道金桂社区居民委员会3幢201室", "衢州市，柯城区，新新街道，3幢201室"),
    ],
    "金桂苑3-201": ["金桂苑3幢201室", "金桂社区金桂苑3幢201", "新新街道金桂苑三幢二〇一"],
    "荷花路12": ["荷花路12号", "柯城区荷花路十二号", "新新街道荷花路 12 号"],
    "3-2-501": [
        "3幢2单元501室",
        "３-2-501",
        "3 栋 2 单元 0501",
        "03号楼2单元501",
        "3#2-501",
        "三栋二单元五〇一室",
    ],
    "10": ["10号", "十号", "拾号"],
    "12-3": ["十二幢三室", "12幢3室"],
    "20": ["二十号", "廿号", "20号"],
    "23": ["廿三号", "二十三号"],
    "31": ["卅一号"],
    "102": ["一百零二号", "一百〇二号", "一〇二号"],
    "120": ["一百二十号"],
    "b-15": ["B座十五楼", "ｂ座15"],
}


@pytest.mark.parametrize("door", [(written, typed) for written, every in SAME.items() for typed in every])
def test_ways_to_write_one_door(door: tuple[str, str]) -> None:
    written, typed = door
    assert normal_door(typed, COMMUNITY) == written


def test_other_doors_are_other_doors() -> None:
    doors = [
        "3-2-501",
        "32-501",
        "3-25-01",
        "3-2-50-1",
        "A3-2-501",
        "3-2-5010",
        "金桂苑3-201",
        "3-201",
        "百里路3",
    ]
    assert len({normal_door(door, COMMUNITY) for door in doors}) == len(doors)


def test_another_communitys_names_stay() -> None:
    assert normal_door("书香社区3幢201室", COMMUNITY) != normal_door("3幢201室", COMMUNITY)
    assert normal_door("府山街道3幢201室", COMMUNITY) != normal_door("3幢201室", COMMUNITY)


def test_a_community_called_after_its_street_is_the_same_with_and_without_it() -> None:
    doors = ["蛟池街5号", "蛟池街社区蛟池街5号", "府山街道蛟池街5号"]
    assert len({normal_door(door, STREETS) for door in doors}) == 1
    assert normal_door("童村碓村8号", VILLAGE) == normal_door("童村碓村委会8号", VILLAGE) == "8"


def test_an_address_that_is_no_more_than_its_division_is_itself() -> None:
    assert normal_door("金桂社区", COMMUNITY) == "金桂社区"


def test_every_communitys_full_name_in_front_is_left_out() -> None:
    kept = {
        c.code: path_name(c.code)
        for c in communities()
        if normal_door(f"{path_name(c.code)}3幢201室", c.code) != "3-201"
    }
    assert kept == {}


@given(st.text(st.sampled_from("一二十百廿〇o0123幢号-第 "), max_size=12))
def test_an_address_that_repeats_its_division_is_the_same_door(door: str) -> None:
    assert normal_door(f"新新街道金桂社区{door}室1", COMMUNITY) == normal_door(f"{door}室1", COMMUNITY)


@pytest.mark.parametrize("typed", ["", " ", "\u200b", "室", "-", "幢\u3164", "1" * 61])
def test_what_names_no_door_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Door).validate_python(typed)


def test_a_door_is_kept_as_it_is_typed_but_clean() -> None:
    assert TypeAdapter(Door).validate_python(" 三幢\u202e\n二〇一室 ") == "三幢 二〇一室"
