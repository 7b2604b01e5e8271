"""Rendered files: what was written, and the question before something is overwritten."""

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.renderedfiles import FileState, RenderedFile
from gw.output.layout import Cell, columns, styled
from gw.output.printer import Printer
from gw.output.view import View

_DONE = {FileState.NEW: "written", FileState.SAME: "unchanged", FileState.DIFFERENT: "overwritten"}
_STYLES = {FileState.NEW: "ok", FileState.SAME: "dim", FileState.DIFFERENT: "warn"}


class PrintedFiles:
    """The question, on standard error."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    def agrees(self, files: Sequence[RenderedFile]) -> bool:
        """Says what differs and asks; raises Refused when there is nobody to ask."""
        for each in files:
            self._printer.note(f"{each.path} differs: {each.removed_lines} of its lines go, {each.added_lines} come.")
        return self._printer.confirm(
            f"Overwrite {counted(len(files), 'file')}?",
            what=f"{counted(len(files), 'file')} would be overwritten",
            next_step="Add --force, or name another --output-dir; nothing was written.",
        )


def rendered_view(kind: str, folder: Path, files: Sequence[RenderedFile]) -> View:
    """One file a line."""
    rows: list[list[Cell]] = [[styled(_DONE[each.state], _STYLES[each.state]), str(each.path)] for each in files]
    return View(
        kind=kind,
        data={
            "folder": str(folder),
            "files": [{"path": str(each.path), "artefact": each.what, "was": each.state.value} for each in files],
        },
        lines=lambda: columns(rows) if rows else [Text("Nothing was rendered.")],
        short=[str(each.path) for each in files],
    )
