"""What the notifier knows of each activity: one file each, listed here."""

from services.notifier.activities import pledges, referrals
from services.notifier.boards.declare import Board

BOARDS: tuple[Board, ...] = (pledges.BOARD, referrals.BOARD)
