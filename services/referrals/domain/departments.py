"""The departments that the channel leads to: exactly the two of the notice, and no other can be asked for."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from shared.city.departments import Department


class DepartmentFacts(NamedTuple):
    """What is particular to a department."""

    name: str
    """As the notice writes it."""
    name_en: str
    offer: timedelta
    """How long a patient may think about a bed that is offered to her."""


DEPARTMENTS: Mapping[Department, DepartmentFacts] = {
    Department.BREAST: DepartmentFacts("浙一医院乳腺中心", "Breast centre", timedelta(hours=24)),
    Department.HEAD_NECK_THYROID: DepartmentFacts(
        "浙江省人民医院头颈甲状腺外科", "Head, neck and thyroid surgery", timedelta(hours=24)
    ),
}
"""Names: 衢妇〔2020〕5号, section 3 (五). The hours are ours."""
