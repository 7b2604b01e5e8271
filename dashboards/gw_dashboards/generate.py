"""Writes the boards of `dashboards/generated/` and their table, or checks that they are what the code builds."""

import argparse
import sys
from pathlib import Path

from gw_dashboards.catalog import BOARDS, short_name
from gw_dashboards.grafana import render_board
from gw_dashboards.index import render_index

COMMAND = "python -m gw_dashboards.generate"
FOLDER = Path(__file__).parents[1]
"""Only in a checkout."""
GENERATED = "generated"
INDEX = "README.md"


def render_files() -> dict[str, str]:
    """Path to content, from FOLDER."""
    boards = {f"{GENERATED}/{short_name(board)}.json": render_board(board) for board in BOARDS}
    return boards | {INDEX: render_index()}


def outdated(folder: Path) -> list[str]:
    """The paths of files that are missing, differ, or are not generated any more."""
    files = render_files()
    wrong = [
        name
        for name, text in files.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    return sorted([*wrong, *(path.relative_to(folder).as_posix() for path in _strangers(folder))])


def main(arguments: list[str]) -> int:
    """Writes the files; with --check writes nothing and returns 1 when one is out of date."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if options.check:
        names = outdated(options.folder)
        if names:
            sys.stderr.write(f"out of date in {options.folder}: {', '.join(names)}; run: {COMMAND}\n")
        return 1 if names else 0
    for name, text in render_files().items():
        path: Path = options.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in _strangers(options.folder):
        path.unlink()
    return 0


def _strangers(folder: Path) -> list[Path]:
    ours = render_files()
    return [path for path in (folder / GENERATED).glob("*.json") if path.relative_to(folder).as_posix() not in ours]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
