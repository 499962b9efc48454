"""Why something was decided, as a code: a text could name somebody, and would outlive their erasure."""

from enum import StrEnum


class Why(StrEnum):
    """Of withdrawals and invalidations, of phones on a list, of talks that are cancelled."""

    DUPLICATE = "duplicate"  # 重复签署
    FALSE_INFORMATION = "false-information"  # 虚假信息
    SUSPICIOUS = "suspicious"  # 可疑号码、批量刷单
    NOT_OWN_PHONE = "not-own-phone"  # 号码非本人
    COMMUNITY_WORKER = "community-worker"  # 社区工作人员代签
    SHARED_PHONE = "shared-phone"  # 多户共用号码
    MOVED = "moved"  # 搬家
    MISTAKE = "mistake"  # 填写有误
    NO_LONGER = "no-longer"  # 不再参加
    ERASURE = "erasure"  # 删除个人信息
    UNAVAILABLE = "unavailable"  # 讲师有事
    OTHER = "other"
