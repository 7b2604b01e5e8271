"""Dashboards as they are found, beside those that ship."""

from collections.abc import Iterator

from rich.text import Text

from gw.checks.wording import counted
from gw.exits import ExitCode
from gw.ops.boards.comparison import BoardCheck, BoardFinding, BoardState
from gw.output.layout import Cell, columns, styled
from gw.output.view import View

_SHOWN = 5
_STYLES = {BoardState.SAME: "ok", BoardState.MISSING: "warn"}
_WORDS = {BoardState.CHANGED: "changed by hand, or of another release"}


def board_check_view(check: BoardCheck) -> View:
    """One board a line, and below it what differs."""
    return View(
        kind="DashboardsCheck",
        data={
            "where": check.where,
            "dashboards": [
                {
                    "name": each.name or None,
                    "state": each.state.value,
                    "place": each.place or None,
                    "differences": list(each.differences),
                }
                for each in check.findings
            ],
        },
        lines=lambda: list(_lines(check)),
        short=[f"{each.name or '-'} {each.state.value} {each.place or '-'}" for each in check.findings],
    )


def render_advice(path: str | None, *, has_config_maps: bool, has_links: bool) -> list[str]:
    """Where the files go, and what they lack."""
    lacks = [] if has_links else ["Note:  Boards name commands in place of links to pages; --runbook-url makes links."]
    if has_config_maps:
        return [*lacks, "Next:  Apply the file, or put it into the repository that the cluster follows."]
    from gw_dashboards.provisioning import MOUNTED_AT, PROVIDER

    boards = f"the boards into its `path`, {path or MOUNTED_AT}"
    where = f"Next:  Put {PROVIDER} into Grafana's provisioning/dashboards, {boards}."
    return [*lacks, where]


def check_advice(check: BoardCheck) -> list[str]:
    """What to do about boards that are not as they ship."""
    if check.exit_code is ExitCode.OK:
        return []
    return [
        "Next:  `gw dashboards render` brings back what ships; a change that shall stay belongs on a board of your own."
    ]


def _lines(check: BoardCheck) -> Iterator[Text]:
    rows: list[list[Cell]] = [
        [each.name or "-", styled(_WORDS.get(each.state, each.state.value), _STYLES.get(each.state, "bad")), each.place]
        for each in check.findings
    ]
    for line, finding in zip(columns(rows), check.findings, strict=True):
        yield line
        yield from _differences(finding)


def _differences(finding: BoardFinding) -> Iterator[Text]:
    for difference in finding.differences[:_SHOWN]:
        yield Text(f"    {difference}")
    more = len(finding.differences) - _SHOWN
    if more > 0:
        yield Text(f"    and {counted(more, 'more difference')}; -o json names all")
