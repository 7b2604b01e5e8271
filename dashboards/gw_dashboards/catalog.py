"""Every board, in the order in which a reader comes to them."""

from gw_dashboards import egress, fleet, oncall, slo, tenant
from gw_dashboards.model import Board

BOARDS: tuple[Board, ...] = (oncall.BOARD, fleet.BOARD, tenant.BOARD, slo.BOARD, egress.BOARD)
BY_UID = {board.uid: board for board in BOARDS}
PREFIX = "actions-gateway-"


def short_name(board: Board) -> str:
    """The board's name for people and files, such as `fleet`."""
    return board.uid.removeprefix(PREFIX)
