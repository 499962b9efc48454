"""What is said to whom about a referral. See `templates.py` for how to read the table.

Not a word of health: neither the department, nor a bed, a consult or why. Whoever looks over her shoulder
learns that something went on, and by when she should look; what it is she reads where she is known.
"""

from collections.abc import Mapping

from services.notifier.wording import Template, Text, coordinators, data_officers, department, patient

LOOK = "请登录平台查看。"

REFERRALS: Mapping[str, Template] = {
    "referral.requested": Template(
        (patient, coordinators),
        Text("申请已收到", f"一份申请已于 {{day}} 收到，协调员将尽快办理。{LOOK}"),
        Text("Request received", "A request was received on {day}; the coordinator will see to it."),
    ),
    "referral.triaged": Template(
        (patient, coordinators, department),
        Text("申请已转交", f"一份申请已于 {{day}} 转交受理单位。{LOOK}"),
        Text("Request passed on", "A request was passed on on {day}. Please sign in to see it."),
    ),
    "referral.accepted": Template(
        (patient, coordinators),
        Text("申请已受理", f"一份申请已于 {{day}} 受理，正在排队安排。{LOOK}"),
        Text("Request accepted", "A request was accepted on {day} and stands in the queue."),
    ),
    "referral.declined": Template(
        (patient, coordinators),
        Text("申请未受理", f"一份申请于 {{day}} 未获受理，协调员会与您联系。{LOOK}"),
        Text("Request not accepted", "A request was not accepted on {day}; the coordinator will call."),
    ),
    "referral.bed-offered": Template(
        (patient, coordinators),
        Text("有安排待确认", f"已为一份申请作出安排，请于 {{expires_at}} 前确认。{LOOK}"),
        Text("Please confirm", "An arrangement was made for a request: confirm it before {expires_at}."),
    ),
    "referral.offer-confirmed": Template(
        (patient, coordinators, department),
        Text("安排已确认", f"一份申请的安排已于 {{day}} 确认，保留至 {{expires_at}}。{LOOK}"),
        Text("Confirmed", "An arrangement was confirmed on {day} and is kept until {expires_at}."),
    ),
    "referral.offer-returned": Template(
        (patient, coordinators, department),
        Text("安排已退回", f"一份申请的安排已于 {{day}} 退回，申请继续排队。{LOOK}"),
        Text("Given back", "An arrangement was given back on {day}; the request is in the queue again."),
    ),
    "referral.offer-lapsed": Template(
        (patient, coordinators, department),
        Text("安排已过期", f"一份申请的安排已于 {{day}} 过期，申请继续排队。{LOOK}"),
        Text("Expired", "An arrangement expired on {day}; the request is in the queue again."),
    ),
    "referral.admitted": Template(
        (patient, coordinators),
        Text("申请办理中", f"一份申请已于 {{day}} 进入办理。{LOOK}"),
        Text("In progress", "A request went into progress on {day}."),
    ),
    "referral.consult-booked": Template(
        (patient, coordinators, department),
        Text("时间已预约", f"一份申请已预约时间：{{starts_at}}。{LOOK}"),
        Text("Time booked", "A time was booked for a request: {starts_at}."),
    ),
    "referral.consult-rescheduled": Template(
        (patient, coordinators, department),
        Text("时间已改约", f"一份申请的时间已改为 {{starts_at}}。{LOOK}"),
        Text("Time changed", "The time of a request was changed to {starts_at}."),
    ),
    "referral.consult-released": Template(
        (patient, coordinators, department),
        Text("预约已取消", f"一份申请的预约已于 {{day}} 取消，申请继续排队。{LOOK}"),
        Text("Time cancelled", "The time of a request was cancelled on {day}; it is in the queue again."),
    ),
    "referral.consulted": Template(
        (patient, coordinators),
        Text("申请办理中", f"一份申请已于 {{day}} 有新的进展。{LOOK}"),
        Text("Progress", "There was progress with a request on {day}."),
    ),
    "referral.completed": Template(
        (patient, coordinators),
        Text("申请已办结", f"一份申请已于 {{day}} 办结。{LOOK}"),
        Text("Done", "A request was completed on {day}."),
    ),
    "referral.not-completed": Template(
        (patient, coordinators),
        Text("申请未能办成", f"一份申请于 {{day}} 未能办成，协调员会与您联系。{LOOK}"),
        Text("Not completed", "A request could not be completed on {day}; the coordinator will call."),
    ),
    "referral.held": Template(
        (patient, coordinators),
        Text("申请已暂缓", f"一份申请已于 {{day}} 暂缓，到期自动恢复。{LOOK}"),
        Text("On hold", "A request was put on hold on {day}; it goes on by itself."),
    ),
    "referral.resumed": Template(
        (patient, coordinators, department),
        Text("申请已恢复", f"一份申请已于 {{day}} 恢复办理。{LOOK}"),
        Text("Resumed", "A request goes on since {day}."),
    ),
    "referral.cancelled": Template(
        (patient, coordinators, department),
        Text("申请已撤回", f"一份申请已于 {{day}} 撤回。{LOOK}"),
        Text("Cancelled", "A request was cancelled on {day}."),
    ),
    "referral.entered-in-error": Template(
        (patient, coordinators),
        Text("申请已更正", f"一份申请因误录已于 {{day}} 作废。{LOOK}"),
        Text("Entered in error", "A request was marked as entered in error on {day}."),
    ),
    "patient.claim-lapsed": Template(
        (coordinators,),
        Text("认领码已过期", "{day} 有一个认领码未在有效期内使用，可重新发送。"),
        Text("A code was not used", "A code was not used in time on {day}; another can be sent."),
    ),
    "patient.claimed": Template(
        (patient, coordinators),
        Text("申请已归入本人账号", f"一份申请已于 {{day}} 归入本人账号。{LOOK}"),
        Text("It is in your account", "A request was taken into the account of who it is for on {day}."),
    ),
    "patient.erased": Template(
        (patient, coordinators),
        Text("个人信息已删除", "一份申请的个人信息已于 {day} 删除，无法恢复。"),
        Text("Personal data deleted", "The personal data of a request were deleted on {day}."),
    ),
    "record.break-glass": Template(
        (patient, data_officers),
        Text("记录被紧急查阅", f"一份记录于 {{day}} 被紧急查阅，个人信息保护负责人将予审核。{LOOK}"),
        Text("Emergency access", "A record was opened in an emergency on {day}; it will be reviewed."),
    ),
    "record.break-glass-reviewed": Template(
        (patient,),
        Text("紧急查阅已审核", f"对一份记录的紧急查阅已于 {{day}} 审核。{LOOK}"),
        Text("Emergency access reviewed", "An emergency access to a record was reviewed on {day}."),
    ),
    "record.break-glass-overdue": Template(
        (data_officers,),
        Text("紧急查阅审核逾期", "有一次紧急查阅超过 72 小时未审核，请尽快办理。"),
        Text("Review overdue", "An emergency access was not reviewed within 72 hours."),
    ),
    "beds.changed": Template(
        (coordinators, department),
        Text("可安排数量有变动", "可安排数量现为 {beds}。"),
        Text("Capacity changed", "The capacity is now {beds}."),
    ),
    "slot.moved": Template(
        (coordinators, department),
        Text("时段有变动", "{starts_at} 的时段有变动。"),
        Text("A time has changed", "The time at {starts_at} has changed."),
    ),
}
