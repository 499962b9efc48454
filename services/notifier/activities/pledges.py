"""公筷公勺进家庭: what its board counts."""

from services.notifier.boards.open import Column, OpenBoard
from shared.access import anyone
from shared.contracts import pledges as events

BOARD = OpenBoard(
    source="pledges",
    title="公筷公勺进家庭",
    title_en="Serving chopsticks in every home",
    by=("county", "day"),
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
