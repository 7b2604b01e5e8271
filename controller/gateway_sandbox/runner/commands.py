"""Workflow commands in a step's output: `::name key=value::text` and the older `##[name key=value]text`.

Source: GitHub Docs "Workflow commands"; actions/runner `src/Runner.Common/ActionCommand.cs`,
`src/Runner.Worker/ActionCommandManager.cs`.
"""

from __future__ import annotations

import re

NAME_AND_PROPERTIES = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_-]*)(?:\s+(?P<properties>.*))?")
ANNOTATION_LEVELS = {"error": "FAILURE", "warning": "WARNING", "notice": "NOTICE"}
KNOWN = (*ANNOTATION_LEVELS, "debug", "group", "endgroup", "add-mask", "stop-commands", "echo", "set-output")
REFUSED = {"set-env": "GITHUB_ENV", "add-path": "GITHUB_PATH"}
"""Disabled by GitHub since 2020: the file to use instead."""

IGNORED = ("save-state", "add-matcher", "remove-matcher", "set-repo-path")
"""They serve JavaScript actions, which the sandbox does not run."""


class Command:
    __slots__ = ("name", "properties", "text")

    def __init__(self, name: str, properties: dict[str, str], text: str) -> None:
        self.name = name
        self.properties = properties
        self.text = text


def parse_command(line: str) -> Command | None:
    """The command of an output line, None when it is none."""
    stripped = line.lstrip()
    if stripped.startswith("::"):
        end = stripped.find("::", 2)
        return None if end < 0 else _command(stripped[2:end], stripped[end + 2 :], separator=",")
    start = line.find("##[")
    if start >= 0 and (end := line.find("]", start)) > 0:
        return _command(line[start + 3 : end], line[end + 1 :], separator=";")
    return None


def _command(head: str, text: str, *, separator: str) -> Command | None:
    match = NAME_AND_PROPERTIES.fullmatch(head.strip())
    if match is None:
        return None
    properties: dict[str, str] = {}
    for part in (match["properties"] or "").split(separator):
        key, equals, value = part.strip().partition("=")
        if equals and key:
            properties[key] = _unescape(value, property_value=True)
    return Command(match["name"].lower(), properties, _unescape(text, property_value=False))


def _unescape(text: str, *, property_value: bool) -> str:
    text = text.replace("%0D", "\r").replace("%0A", "\n").replace("%5D", "]")
    if property_value:
        text = text.replace("%3A", ":").replace("%2C", ",").replace("%3B", ";")
    return text.replace("%25", "%")


def annotation(command: Command, *, step_number: int) -> dict[str, object]:
    """The annotation of an error, warning or notice, as completejob carries it (actions/runner
    `src/Sdk/RSWebApi/Contracts/Annotation.cs`)."""
    properties = command.properties
    line = _integer(properties.get("line"))
    column = _integer(properties.get("col"))
    return {
        "level": ANNOTATION_LEVELS[command.name],
        "message": command.text,
        "title": properties.get("title", ""),
        "rawDetails": "",
        "path": properties.get("file", ""),
        "isInfrastructureIssue": False,
        "startLine": line,
        "endLine": _integer(properties.get("endLine"), line),
        "startColumn": column,
        "endColumn": _integer(properties.get("endColumn"), column),
        "stepNumber": step_number,
    }


def _integer(text: str | None, default: int = 0) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else default
