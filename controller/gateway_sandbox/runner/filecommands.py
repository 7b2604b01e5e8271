"""The files through which a step sets outputs, variables, PATH entries and its summary.

Format: GitHub Docs "Workflow commands", section "Environment files"; actions/runner `src/Runner.Worker/
FileCommandManager.cs`: lines `name=value`, or `name<<DELIMITER` up to a line that is the delimiter.
"""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH103, PTH118, PTH123
from __future__ import annotations

import os
import re

SUMMARY_LIMIT_BYTES = 1024 * 1024
"""GitHub Docs "Workflow commands": a step's summary is at most 1 MiB."""

ENTRY = re.compile(r".*?(<<|=)")
"""Whichever stands first says whether an entry is one line or a block."""

FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_STATE")


class FileCommandError(ValueError):
    """A step wrote something into one of the files that is no valid entry."""


def create_files(folder: str, step_id: str) -> dict[str, str]:
    """Empty files for one step; returns their paths by variable name."""
    os.makedirs(folder, exist_ok=True)
    paths = {name: os.path.join(folder, f"{name.lower()[7:]}_{step_id}") for name in FILES}
    for path in paths.values():
        with open(path, "wb"):
            pass
    return paths


def read_text(path: str) -> str:
    """What a step wrote; empty when it removed the file."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig", "replace")
    except FileNotFoundError:
        return ""


def parse_pairs(text: str) -> dict[str, str]:
    """Names and values; raises FileCommandError with the line."""
    pairs: dict[str, str] = {}
    lines = text.replace("\r\n", "\n").split("\n")
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if not line:
            continue
        separator = ENTRY.match(line)
        if separator is None:
            raise FileCommandError(f"Invalid format '{line}'")
        name, rest = line[: separator.start(1)], line[separator.end() :]
        if not name or (separator[1] == "<<" and not rest):
            raise FileCommandError(f"Invalid format '{line}'. Name and delimiter must not be empty")
        if separator[1] == "<<":
            rest, index = _block(lines, index, rest)
        pairs[name] = rest
    return pairs


def _block(lines: list[str], start: int, delimiter: str) -> tuple[str, int]:
    for end in range(start, len(lines)):
        if lines[end] == delimiter:
            return "\n".join(lines[start:end]), end + 1
    raise FileCommandError(f"Invalid value. Matching delimiter not found '{delimiter}'")


def parse_path_entries(text: str) -> list[str]:
    """The PATH entries, first written first."""
    return [line for line in text.replace("\r\n", "\n").split("\n") if line]
