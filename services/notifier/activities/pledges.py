"""公筷公勺进家庭: what is said to whom, how signers are reached, what the board counts."""

from services.notifier.activity import Activity, code, forgotten, proven, say, typed
from services.notifier.boards.open import Column, OpenBoard
from services.notifier.wording import CITY_OFFICE, CLAIM, CLAIM_EN, COUNTY, person
from shared.contracts import pledges as events
from shared.http.access import anyone

BOARD = OpenBoard(
    source="pledges",
    title="公筷公勺进家庭",
    title_en="Serving chopsticks in every home",
    readers=anyone("公开信息 / public: counts by county and day"),
    counts={
        events.PledgeSigned: {"signed": 1, "members": "members"},
        events.PledgeWithdrawn: {"withdrawn": 1},
        events.PledgeInvalidated: {"invalidated": 1},
        events.HouseholdCheckedIn: {"checked_in": 1},
        events.StreakCompleted: {"streaks_completed": 1},
        events.ChainMilestoneReached: {"milestones": 1},
        events.TalkHeld: {"talks": 1},
        events.ObservationRecorded: {"observations": 1},
    },
    columns=[
        Column("counted", "有效承诺", "in force", {"signed": 1, "withdrawn": -1, "invalidated": -1}),
        Column("signed", "签署", "signed"),
        Column("withdrawn", "撤回", "withdrawn"),
        Column("invalidated", "作废", "invalidated"),
        Column("members", "参与人数", "members"),
        Column("checked_in", "打卡", "check-ins"),
        Column("streaks_completed", "坚持达成", "streaks"),
        Column("milestones", "里程碑", "milestones"),
        Column("talks", "线上宣讲", "talks"),
        Column("observations", "观察", "observations"),
    ],
    covers="counted",
    tiles=("counted", "members", "checked_in", "streaks_completed", "milestones", "talks", "observations"),
    of_county=(
        *("counted", "signed", "withdrawn", "invalidated"),
        *("members", "checked_in", "streaks_completed"),
    ),
    of_day=("signed", "withdrawn", "invalidated", "checked_in", "milestones", "talks", "observations"),
)

PLEDGES = Activity(
    board=BOARD,
    says=[
        say(
            events.CampaignAnnounced,
            to=[CITY_OFFICE],
            zh=("活动已发布", "公筷公勺活动（文本第 {text_version} 版）：{opens_at} 至 {closes_at}。"),
            en=("Campaign announced", "Pledge campaign (text {text_version}): {opens_at} to {closes_at}."),
        ),
        say(
            events.PledgeHeld,
            to=[person("signer"), COUNTY],
            zh=("承诺等待审核", "{place}有一份承诺已于 {day} 验证，审核通过后计入接龙。"),
            en=("Pledge under review", "A pledge of {place} was verified on {day} and waits for a review."),
        ),
        say(
            events.PledgeDropped,
            to=[person("signer")],
            zh=("承诺未计入", "您的承诺已于 {day} 结束，未计入接龙。如有疑问，请联系当地妇联。"),
            en=("Pledge not counted", "Your pledge ended on {day} without being counted."),
        ),
        say(
            events.PledgeDropped,
            variant="lapsed",
            to=[person("signer")],
            zh=("承诺未完成", "活动已结束，您的承诺未完成手机验证，已于 {day} 自动结束，未计入接龙。"),
            en=("Pledge not completed", "The campaign is over; your unproven pledge ended on {day}."),
        ),
        say(
            events.PledgeContested,
            to=[person("signer")],
            zh=("有人再次为您家签署", "{day} 有人用别的手机号为您家签署，未计入。如非家人，请联系当地妇联。"),
            en=(
                "Somebody signed for you",
                "On {day} somebody else tried to sign for your household, in vain.",
            ),
        ),
        say(
            events.PledgeSigned,
            to=[person("signer")],
            zh=("承诺已生效", "感谢您加入公筷公勺行动！您家是{place}接龙的第 {serial} 户。"),
            en=(
                "Your pledge counts",
                "Thank you! Your household is number {serial} in the chain of {place}.",
            ),
        ),
        say(
            events.PledgeWithdrawn,
            to=[person("signer")],
            zh=("承诺已撤回", "您家的承诺（{place}第 {serial} 户）已于 {day} 撤回。欢迎随时再次加入。"),
            en=("Pledge withdrawn", "Your pledge (number {serial}, {place}) was withdrawn on {day}."),
        ),
        say(
            events.PledgeInvalidated,
            to=[person("signer"), COUNTY],
            zh=("承诺已作废", "{place}第 {serial} 户的承诺已于 {day} 作废。如有疑问，请联系当地妇联。"),
            en=("Pledge invalidated", "Pledge number {serial} of {place} was invalidated on {day}."),
        ),
        say(
            events.SignerErased,
            to=[person("signer")],
            zh=("个人信息已删除", "您在公筷公勺行动中的个人信息已于 {day} 删除，无法恢复。"),
            en=("Personal data deleted", "Your personal data in the pledge campaign was deleted on {day}."),
        ),
        say(
            events.MemberClaimed,
            to=[COUNTY],
            zh=("队员已认领", "{place}宣讲督导队的一名队员已将其信息归入本人账号。"),
            en=(
                "A member signed in",
                "A member of the team of {place} took what is held into their account.",
            ),
        ),
        say(
            events.MemberClaimLapsed,
            to=[COUNTY],
            zh=("认领码已过期", "{place}宣讲督导队有一个认领码未在有效期内使用，可重新发送。"),
            en=("A code was not used", "A code to a member of the team of {place} was not used in time."),
        ),
        say(
            events.MemberErased,
            to=[COUNTY],
            zh=("队员退出", "{place}宣讲督导队的一名队员已退出，其个人信息已删除。"),
            en=("A member left", "A member of the team of {place} left; their personal data was deleted."),
        ),
        say(
            events.ChainMilestoneReached,
            variant="households",
            to=[COUNTY],
            zh=("接龙达到 {value} 户", "{place}的公筷公勺接龙于 {day} 达到 {value} 户。"),
            en=(
                "{value:household|households}",
                "The chain of {place} reached {value:household|households} on {day}.",
            ),
        ),
        say(
            events.ChainMilestoneReached,
            variant="coverage",
            to=[COUNTY],
            zh=("覆盖率达到 {value}%", "{place}的公筷公勺覆盖率于 {day} 达到 {value}%（{counted} 户）。"),
            en=(
                "{value}% coverage",
                "{place} reached {value}% coverage on {day} ({counted:household|households}).",
            ),
        ),
        say(
            events.HouseholdCheckedIn,
            to=[person("signer")],
            zh=("打卡成功", "{day} 打卡成功，您家已连续使用公筷公勺 {streak} 天。"),
            en=("Checked in", "Checked in for {day}: {streak:day|days} in a row."),
        ),
        say(
            events.StreakCompleted,
            to=[person("signer")],
            zh=("连续 {days} 天，达成！", "祝贺！您家已连续 {days} 天使用公筷公勺。"),
            en=(
                "{days:day|days} in a row!",
                "Congratulations, {days:day|days} of serving chopsticks in a row.",
            ),
        ),
        say(
            events.TalkMoved,
            to=[COUNTY],
            zh=("线上宣讲预告", "{place}将于 {starts_at} 举行线上宣讲。"),
            en=("Talk announced", "An online talk will be held in {place} at {starts_at}."),
        ),
        say(
            events.TalkMoved,
            variant="cancelled",
            to=[COUNTY],
            zh=("线上宣讲已取消", "{place}原定 {starts_at} 的线上宣讲已取消。"),
            en=("Talk cancelled", "The online talk in {place} at {starts_at} was cancelled."),
        ),
        say(
            events.TalkHeld,
            to=[COUNTY],
            zh=("线上宣讲已举行", "{place}于 {day} 举行线上宣讲，{attendees} 人参加。"),
            en=(
                "Talk held",
                "An online talk was held in {place} on {day} with {attendees:attendee|attendees}.",
            ),
        ),
        say(
            events.ObservationRecorded,
            to=[COUNTY],
            zh=(
                "新的观察记录",
                "{place} {day}：观察 {tables} 桌，其中 {with_serving_chopsticks} 桌使用公筷公勺。",
            ),
            en=(
                "Observation",
                "{place}, {day}: serving chopsticks at {with_serving_chopsticks} of {tables:table|tables}.",
            ),
        ),
        say(
            events.PhoneListed,
            to=[CITY_OFFICE],
            zh=("号码名单有变动", "有一个号码在允许或拦截名单中的设置已变动。"),
            en=("Phone lists changed", "A phone was put on, or taken off, the allow or block list."),
        ),
        say(
            events.InvalidationMoved,
            to=[CITY_OFFICE],
            zh=("批量作废进行中", "批量作废：符合条件 {matched} 户，已作废 {invalidated} 户。"),
            en=(
                "Bulk invalidation",
                "Bulk invalidation: {matched:matches|match}, {invalidated} invalidated so far.",
            ),
        ),
        say(
            events.InvalidationMoved,
            variant="prepared",
            to=[CITY_OFFICE],
            zh=("批量作废待启动", "批量作废已试算：符合条件 {matched} 户，尚未执行。"),
            en=(
                "Bulk invalidation prepared",
                "A dry count found {matched:pledge|pledges}; nothing was done yet.",
            ),
        ),
        say(
            events.InvalidationMoved,
            variant="done",
            to=[CITY_OFFICE],
            zh=("批量作废已完成", "批量作废已完成：符合条件 {matched} 户，作废 {invalidated} 户。"),
            en=(
                "Bulk invalidation done",
                "Of {matched:matching pledge|matching pledges}, {invalidated:was|were} invalidated.",
            ),
        ),
        say(
            events.InvalidationMoved,
            variant="lifted",
            to=[CITY_OFFICE],
            zh=(
                "批量作废条件已解除",
                "批量作废条件已解除：此前作废 {invalidated} 户，此后提交的承诺正常计入。",
            ),
            en=(
                "Bulk invalidation lifted",
                "Lifted after {invalidated:pledge|pledges}; what comes now counts again.",
            ),
        ),
        say(
            events.InvalidationMoved,
            variant="cancelled",
            to=[CITY_OFFICE],
            zh=("批量作废已取消", "批量作废已取消：取消前作废 {invalidated} 户。"),
            en=(
                "Bulk invalidation cancelled",
                "Cancelled; {invalidated:pledge|pledges} invalidated before that.",
            ),
        ),
    ],
    codes=[
        code(
            events.PledgeCodeIssued,
            to="signer",
            about="pledge_id",
            zh=(
                "验证码",
                "【衢州妇联】您的公筷公勺承诺验证码为 {code}，{valid_minutes} 分钟内有效，请勿告诉他人。",
            ),
            en=(
                "Code",
                "Your serving-chopsticks pledge code is {code}, valid for {valid_minutes:minute|minutes}.",
            ),
        ),
        code(events.MemberClaimIssued, to="person", about="claim_id", zh=CLAIM, en=CLAIM_EN),
    ],
    reaches=[
        typed(events.PledgeCodeIssued, "signer"),
        proven(events.PledgeHeld, "signer"),
        proven(events.PledgeSigned, "signer"),
        forgotten(events.SignerErased, "signer"),
    ],
)
