"""What a board counts, for the audit: it is held against what the service counts itself."""

from functools import partial

from services.notifier.boards.cells import Cells
from services.notifier.boards.declare import Board
from shared.consumers.tables import read_table
from shared.store.store import Store
from shared.store.tallies import Counts, Projection


async def _shown(board: Board, store: Store) -> Counts:
    cells = Cells(board.by)
    cells.apply(await read_table(store, board.group, board.table))
    return board.audited(cells)


def projection_of(board: Board) -> Projection:
    """The board's table, as one that can be recounted."""
    return Projection(board.source, board.source, board.by, board.counted, partial(_shown, board))
