"""女性健康公益关爱: what is said to whom, how patients are reached, what the board counts.

Not a word of health is said: neither the department, nor a bed, a consult or why. Whoever looks over her
shoulder learns that something went on, and by when she should look; what it is she reads where she is known.
On the board no small group is shown, and no single day.
"""

from typing import Any

from services.notifier.activity import Activity, belongs, code, forgotten, say
from services.notifier.boards.hidden import Groups, HiddenBoard, Part, Split, step
from services.notifier.wording import CLAIM, CLAIM_EN, COORDINATORS, DATA_OFFICERS, desk_of, person
from shared.city.departments import Department
from shared.contracts import referrals as events
from shared.http.access import Role, may


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
    groups={"department": Groups("按科室 By department", list(Department))},
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

DEPARTMENT = desk_of("department")
"""The hospital department that a referral leads to."""
REFERRALS = Activity(
    kind="request",
    board=BOARD,
    says=[
        say(
            events.ReferralRequested,
            to=[person("patient"), COORDINATORS],
            zh=("申请已收到", "一份申请已于 {day} 收到，协调员将尽快办理。请登录平台查看。"),
            en=("Request received", "A request was received on {day}; the coordinator will see to it."),
        ),
        say(
            events.ReferralTriaged,
            to=[person("patient"), COORDINATORS, DEPARTMENT],
            zh=("申请已转交", "一份申请已于 {day} 转交受理单位。请登录平台查看。"),
            en=("Request passed on", "A request was passed on on {day}. Please sign in to see it."),
        ),
        say(
            events.ReferralAccepted,
            to=[person("patient"), COORDINATORS],
            zh=("申请已受理", "一份申请已于 {day} 受理，正在排队安排。请登录平台查看。"),
            en=("Request accepted", "A request was accepted on {day} and stands in the queue."),
        ),
        say(
            events.ReferralDeclined,
            to=[person("patient"), COORDINATORS],
            zh=("申请未受理", "一份申请于 {day} 未获受理，协调员会与您联系。请登录平台查看。"),
            en=("Request not accepted", "A request was not accepted on {day}; the coordinator will call."),
        ),
        say(
            events.ReferralBedOffered,
            to=[person("patient"), COORDINATORS],
            zh=("有安排待确认", "已为一份申请作出安排，请于 {expires_at} 前确认。请登录平台查看。"),
            en=("Please confirm", "An arrangement was made for a request: confirm it before {expires_at}."),
        ),
        say(
            events.ReferralOfferConfirmed,
            to=[person("patient"), COORDINATORS, DEPARTMENT],
            zh=("安排已确认", "一份申请的安排已于 {day} 确认，保留至 {expires_at}。请登录平台查看。"),
            en=("Confirmed", "An arrangement was confirmed on {day} and is kept until {expires_at}."),
        ),
        say(
            events.ReferralOfferReturned,
            to=[person("patient"), COORDINATORS, DEPARTMENT],
            zh=("安排已退回", "一份申请的安排已于 {day} 退回，申请继续排队。请登录平台查看。"),
            en=("Given back", "An arrangement was given back on {day}; the request is in the queue again."),
        ),
        say(
            events.ReferralOfferLapsed,
            to=[person("patient"), COORDINATORS, DEPARTMENT],
            zh=("安排已过期", "一份申请的安排已于 {day} 过期，申请继续排队。请登录平台查看。"),
            en=("Expired", "An arrangement expired on {day}; the request is in the queue again."),
        ),
        say(
            events.ReferralAdmitted,
            to=[person("patient"), COORDINATORS],
            zh=("申请办理中", "一份申请已于 {day} 进入办理。请登录平台查看。"),
            en=("In progress", "A request went into progress on {day}."),
        ),
        say(
            events.ReferralConsultBooked,
            to=[person("patient"), COORDINATORS, DEPARTMENT],
            zh=("时间已预约", "一份申请已预约时间：{starts_at}。请登录平台查看。"),
            en=("Time booked", "A time was booked for a request: {starts_at}."),
        ),
        say(
            events.ReferralConsultRescheduled,
            to=[person("patient"), COORDINATORS, DEPARTMENT],
            zh=("时间已改约", "一份申请的时间已改为 {starts_at}。请登录平台查看。"),
            en=("Time changed", "The time of a request was changed to {starts_at}."),
        ),
        say(
            events.ReferralConsultReleased,
            to=[person("patient"), COORDINATORS, DEPARTMENT],
            zh=("预约已取消", "一份申请的预约已于 {day} 取消，申请继续排队。请登录平台查看。"),
            en=("Time cancelled", "The time of a request was cancelled on {day}; it is in the queue again."),
        ),
        say(
            events.ReferralConsulted,
            to=[person("patient"), COORDINATORS],
            zh=("申请办理中", "一份申请已于 {day} 有新的进展。请登录平台查看。"),
            en=("Progress", "There was progress with a request on {day}."),
        ),
        say(
            events.ReferralCompleted,
            to=[person("patient"), COORDINATORS],
            zh=("申请已办结", "一份申请已于 {day} 办结。请登录平台查看。"),
            en=("Done", "A request was completed on {day}."),
        ),
        say(
            events.ReferralNotCompleted,
            to=[person("patient"), COORDINATORS],
            zh=("申请未能办成", "一份申请于 {day} 未能办成，协调员会与您联系。请登录平台查看。"),
            en=("Not completed", "A request could not be completed on {day}; the coordinator will call."),
        ),
        say(
            events.ReferralHeld,
            to=[person("patient"), COORDINATORS],
            zh=("申请已暂缓", "一份申请已于 {day} 暂缓，到期自动恢复。请登录平台查看。"),
            en=("On hold", "A request was put on hold on {day}; it goes on by itself."),
        ),
        say(
            events.ReferralResumed,
            to=[person("patient"), COORDINATORS, DEPARTMENT],
            zh=("申请已恢复", "一份申请已于 {day} 恢复办理。请登录平台查看。"),
            en=("Resumed", "A request goes on since {day}."),
        ),
        say(
            events.ReferralCancelled,
            to=[person("patient"), COORDINATORS, DEPARTMENT],
            zh=("申请已撤回", "一份申请已于 {day} 撤回。请登录平台查看。"),
            en=("Cancelled", "A request was cancelled on {day}."),
        ),
        say(
            events.ReferralEnteredInError,
            to=[person("patient"), COORDINATORS],
            zh=("申请已更正", "一份申请因误录已于 {day} 作废。请登录平台查看。"),
            en=("Entered in error", "A request was marked as entered in error on {day}."),
        ),
        say(
            events.PatientClaimLapsed,
            to=[COORDINATORS],
            zh=("认领码已过期", "{day} 有一个认领码未在有效期内使用，可重新发送。"),
            en=("A code was not used", "A code was not used in time on {day}; another can be sent."),
        ),
        say(
            events.PatientClaimed,
            to=[person("patient"), COORDINATORS],
            zh=("申请已归入本人账号", "一份申请已于 {day} 归入本人账号。请登录平台查看。"),
            en=("It is in your account", "A request was taken into the account of who it is for on {day}."),
        ),
        say(
            events.PatientErased,
            to=[person("patient"), COORDINATORS],
            zh=("个人信息已删除", "一份申请的个人信息已于 {day} 删除，无法恢复。"),
            en=("Personal data deleted", "The personal data of a request were deleted on {day}."),
        ),
        say(
            events.RecordBreakGlass,
            to=[person("patient"), DATA_OFFICERS],
            zh=(
                "记录被紧急查阅",
                "一份记录于 {day} 被紧急查阅，个人信息保护负责人将予审核。请登录平台查看。",
            ),
            en=("Emergency access", "A record was opened in an emergency on {day}; it will be reviewed."),
        ),
        say(
            events.BreakGlassReviewed,
            to=[person("patient")],
            zh=("紧急查阅已审核", "对一份记录的紧急查阅已于 {day} 审核。请登录平台查看。"),
            en=("Emergency access reviewed", "An emergency access to a record was reviewed on {day}."),
        ),
        say(
            events.BreakGlassOverdue,
            to=[DATA_OFFICERS],
            zh=("紧急查阅审核逾期", "有一次紧急查阅超过 72 小时未审核，请尽快办理。"),
            en=("Review overdue", "An emergency access was not reviewed within 72 hours."),
        ),
        say(
            events.BedsChanged,
            to=[COORDINATORS, DEPARTMENT],
            zh=("可安排数量有变动", "可安排数量现为 {beds}。"),
            en=("Capacity changed", "The capacity is now {beds}."),
        ),
        say(
            events.SlotMoved,
            to=[COORDINATORS, DEPARTMENT],
            zh=("时段有变动", "{starts_at} 的时段有变动。"),
            en=("A time has changed", "The time at {starts_at} has changed."),
        ),
    ],
    codes=[code(events.PatientClaimIssued, to="patient", about="claim_id", zh=CLAIM, en=CLAIM_EN)],
    reaches=[
        belongs(events.ReferralRequested, "patient"),
        belongs(events.PatientClaimed, "patient"),
        forgotten(events.PatientErased, "patient"),
    ],
)
