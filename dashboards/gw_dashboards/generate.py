"""Writes the boards of `dashboards/generated/`, or checks that they are what the code builds."""

import argparse
import sys
from pathlib import Path

from gw_dashboards.fleet import fleet_board
from gw_dashboards.panels import render_board

COMMAND = "python -m gw_dashboards.generate"
FOLDER = Path(__file__).parents[1] / "generated"
"""Only in a checkout."""


def render_boards() -> dict[str, str]:
    """File name to content."""
    return {"fleet.json": render_board(fleet_board())}


def outdated(folder: Path) -> list[str]:
    """The names of files that are missing, differ, or are not generated any more."""
    boards = render_boards()
    wrong = [
        name
        for name, text in boards.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    return sorted(wrong + [path.name for path in folder.glob("*.json") if path.name not in boards])


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
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in render_boards().items():
        (options.folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
