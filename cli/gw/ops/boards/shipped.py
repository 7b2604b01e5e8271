"""The boards that come with this release; building them takes a package that an installation of gw may lack."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gw.errors import Refused

if TYPE_CHECKING:
    from gw_dashboards.model import Board


@contextmanager
def boards_needed(otherwise: str = "") -> Iterator[None]:
    """Turns the package's absence inside the block into a refusal; `otherwise` continues "Install it, "."""
    try:
        yield
    except ModuleNotFoundError as problem:
        rest = f", {otherwise}" if otherwise else ""
        raise Refused(
            f"the dashboards cannot be built without the Python package {problem.name}",
            f"Install gw with its extra `dashboards`{rest}.",
        ) from problem


def find_boards(names: Sequence[str]) -> "list[Board]":
    """The boards by their short names, all without any; raises Refused."""
    from gw_dashboards.catalog import BOARDS, short_name

    known = {short_name(board): board for board in BOARDS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refused(f"there is no board {', '.join(unknown)}", f"Boards: {', '.join(known)}.")
    return [known[name] for name in dict.fromkeys(names or known)]
