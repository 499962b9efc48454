"""女性健康公益关爱: what its board counts. Of people: no small group is shown, and no single day."""

from typing import Any

from services.notifier.boards.hidden import Groups, HiddenBoard, Part, Split, step
from shared.access import Role, may
from shared.contracts import referrals as events


def _steps(event: Any) -> dict[str, int]:
    return step(
        event.was,
        event.state,
        getattr(event, "waited_days", None),
        offered=int(isinstance(event, events.ReferralBedOffered)),
        lapsed=int(isinstance(event, events.ReferralOfferLapsed)),
    )


BOARD = HiddenBoard(
    source="referrals",
    title="女性健康绿色通道",
    title_en="Green channel for women's health",
    by=("county", "department"),
    readers=may(Role.COUNTY_OFFICER, Role.CITY_OFFICER, Role.COORDINATOR),
    counts=dict.fromkeys(events.STEPS, _steps),
    groups={"department": Groups("按科室 By department", list(events.Department))},
    parts=(
        Part("running", "办理中", "On their way", events.RUNNING),
        Part("ended", "已结束", "Through", events.ENDED),
    ),
    waited_by="department",
    splits=[
        Split(
            *("offers", "床位过期", "offers lapsed", "lapsed"),
            parts={"kept": {"offered": 1, "lapsed": -1}, "lapsed": {"lapsed": 1}},
        )
    ],
    names={
        "breast": "浙一医院乳腺中心",
        "head-neck-thyroid": "省人民医院头颈甲状腺外科",
        "requested": "已申请",
        "triaged": "已分诊",
        "accepted": "已接收",
        "declined": "未接收",
        "bed_offered": "待确认床位",
        "consult_booked": "已约会诊",
        "admitted": "已入院",
        "consulted": "已会诊",
        "completed": "已完成",
        "not_completed": "未完成",
        "on_hold": "暂缓",
        "cancelled": "已取消",
        "entered_in_error": "录入有误",
    },
)
