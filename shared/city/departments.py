"""The hospital departments that the green channel leads to."""

from enum import StrEnum


class Department(StrEnum):
    """The two departments of the notice: 浙一医院乳腺中心, 浙江省人民医院头颈甲状腺外科."""

    BREAST = "breast"
    HEAD_NECK_THYROID = "head-neck-thyroid"
