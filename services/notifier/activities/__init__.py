"""What the notifier knows of each activity: one file each, listed here."""

from services.notifier.activities.pledges import PLEDGES
from services.notifier.activities.referrals import REFERRALS
from services.notifier.activity import Activity

ACTIVITIES: tuple[Activity, ...] = (PLEDGES, REFERRALS)
