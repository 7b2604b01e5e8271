"""Boards that Grafana gets beside those that this release ships; pure.

What is found is any JSON object: others write it, so no key of it is sure to be what Grafana would take.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gw.exits import ExitCode
from gw.ops.boards.shipped import boards_needed
from gw_alerts.model import Links

if TYPE_CHECKING:
    from gw_dashboards.model import Board

Json = Mapping[str, Any]

_SOMEWHERE = "https://runbooks.example.com"
"""Where pages are not; links to it show what is the same wherever they are."""
_GRAFANAS_OWN = frozenset({"id", "version", "iteration"})
"""Keys that a Grafana counts on by itself."""


class BoardState(StrEnum):
    """How a board stands to the shipped one."""

    SAME = "same"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    MISSING = "missing"
    UNKNOWN = "not shipped"
    """It calls itself one of ours, and this release has none of that uid."""


@dataclass(frozen=True, slots=True)
class PlacedBoard:
    """A board as it is found."""

    place: str
    """File, ConfigMap or GrafanaDashboard."""
    model: Json | None
    problem: str = ""
    """Why there is no model."""


@dataclass(frozen=True, slots=True)
class BoardFinding:
    """One board at one place."""

    name: str
    state: BoardState
    place: str = ""
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BoardCheck:
    """All of them."""

    where: str
    findings: tuple[BoardFinding, ...]

    @property
    def exit_code(self) -> ExitCode:
        """1 when one is not as it ships."""
        return ExitCode.OK if all(each.state is BoardState.SAME for each in self.findings) else ExitCode.PROBLEM


def compare_boards(where: str, found: Sequence[PlacedBoard]) -> BoardCheck:
    """Every shipped board with each place where it is, and what only calls itself ours."""
    from gw_dashboards.catalog import BOARDS, BY_UID, short_name

    findings = [_finding(each) for each in found]
    there = {_uid(each.model or {}) for each in found}
    findings += [BoardFinding(short_name(BY_UID[uid]), BoardState.MISSING) for uid in BY_UID if uid not in there]
    order = {short_name(board): position for position, board in enumerate(BOARDS)}
    return BoardCheck(where, tuple(sorted(findings, key=lambda each: (order.get(each.name, len(order)), each.place))))


def is_ours(model: Json) -> bool:
    """Whether a board is one of this project's, by its uid or its tag."""
    from gw_dashboards.catalog import BY_UID
    from gw_dashboards.model import Tag

    return _uid(model) in BY_UID or Tag.ALL.value in _listed(model, "tags")


def _finding(found: PlacedBoard) -> BoardFinding:
    from gw_dashboards.catalog import BY_UID, short_name

    if found.model is None:
        return BoardFinding("", BoardState.UNREADABLE, found.place, (found.problem,))
    board = BY_UID.get(_uid(found.model))
    if board is None:
        return BoardFinding(str(found.model.get("title") or ""), BoardState.UNKNOWN, found.place)
    differences = tuple(_differences(_shipped(board, found.model), found.model))
    state = BoardState.CHANGED if differences else BoardState.SAME
    return BoardFinding(short_name(board), state, found.place, differences)


def _shipped(board: "Board", found: Json) -> Json:
    """As it ships, with the pages published where the found one has them."""
    with boards_needed():
        from gw_dashboards.grafana import build_board
    linked = build_board(board, Links(runbooks=_SOMEWHERE))
    return build_board(board, Links(runbooks=_published_at(linked, found)))


def _published_at(linked: Json, found: Json) -> str:
    """Empty where a board has no links to pages."""
    links = {_identity(panel): panel["links"][0]["url"] for panel in _panels(linked) if panel.get("links")}
    short = {identity: url.removeprefix(_SOMEWHERE) for identity, url in links.items()}
    for panel in _panels(found):
        for link in _mappings(panel, "links"):
            base, matched, _ = str(link.get("url")).partition(short.get(_identity(panel), "\n"))
            if matched and base.startswith(("https://", "http://")):
                return base.rstrip("/")
    return ""


def _differences(shipped: Json, found: Json) -> Iterator[str]:
    aside = _GRAFANAS_OWN | {"panels"}
    for key in sorted((shipped.keys() | found.keys()) - aside):
        if shipped.get(key) != found.get(key):
            yield from _paths(shipped.get(key), found.get(key), key)
    ours = {_identity(panel): panel for panel in _panels(shipped)}
    theirs = {_identity(panel): panel for panel in _panels(found)}
    for identity, panel in ours.items():
        title = f'panel "{panel["title"]}"'
        if identity not in theirs:
            yield f"{title} is gone"
        else:
            yield from (f"{title}: {path}" for path in _paths(_own(panel), _own(theirs[identity]), ""))
    for identity, panel in theirs.items():
        if identity not in ours:
            yield f'panel "{panel.get("title", "")}" was added'


def _paths(before: Any, after: Any, path: str) -> Iterator[str]:
    """Where two values differ, by the keys that lead there."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _paths(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _paths(one, other, f"{path}[{index}]")
    elif before != after:
        yield path


def _own(panel: Json) -> Json:
    """A row's panels are looked at by themselves."""
    return {key: value for key, value in panel.items() if key != "panels"}


def _panels(model: Json) -> Iterator[Json]:
    for panel in _mappings(model, "panels"):
        yield panel
        yield from _mappings(panel, "panels")


def _uid(model: Json) -> str:
    """Empty for what is no text."""
    uid = model.get("uid")
    return uid if isinstance(uid, str) else ""


def _identity(panel: Json) -> Hashable:
    """None for what no panel can be found by."""
    identity = panel.get("id")
    return identity if isinstance(identity, Hashable) else None


def _mappings(model: Json, key: str) -> Iterator[Json]:
    """What is none counts as an empty one, so that it is not passed over in silence."""
    return (each if isinstance(each, dict) else {} for each in _listed(model, key))


def _listed(model: Json, key: str) -> list[Any]:
    """Empty for what is no list."""
    values = model.get(key)
    return values if isinstance(values, list) else []
