"""The transcribed production runbook as data: commands, thresholds, severities, the hand-over list, deviations."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parents[1] / "artefacts" / "seed"

PLACES = frozenset(
    {
        "namespace",
        "gateway",
        "group",
        "pod",
        "quota-name",
        "priority-class",
        "app-id",
        "installation-id",
        "path",
        "gateway-file",
        "configmap-file",
    }
)
"""What may stand between < and > in a command; `path` is the private key's file."""


@dataclass(frozen=True, slots=True)
class SeedCommand:
    """One command as it is typed, with <places> to fill in."""

    id: str
    command: str
    shows: tuple[str, ...]
    """Regular expressions that are found in what it prints, with the same places."""
    printed: str = ""
    """The original's words around the command; empty where a gap is filled."""
    gap: str = ""
    """The original's sentence that asks for the command; empty where the command is printed."""
    editor: str = ""
    """A sed expression that stands for the person, where the command opens an editor."""
    platform: str = ""
    """The one platform that has the command; empty: every."""

    def filled(self, places: Mapping[str, str]) -> str:
        """The command with its places filled in."""
        return fill(self.command, places)


@dataclass(frozen=True, slots=True)
class Section:
    """The commands of one section, in the order in which they are typed."""

    title: str
    commands: tuple[SeedCommand, ...]
    needs: tuple[str, ...] = ()
    """What has to be the case for the section to make sense."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """One row of the alert table."""

    line: int
    """Of the original, where the row begins."""
    signal: str
    threshold: str
    severity: str
    notes: str

    @property
    def text(self) -> str:
        """The row as the page prints it."""
        return f"{self.signal} | {self.threshold} | {self.severity} | {self.notes}"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One place where we differ on purpose."""

    says: str
    holds: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeedRunbook:
    """The page."""

    sections: tuple[Section, ...]
    plain_kubectl: tuple[Section, ...]
    thresholds: tuple[Threshold, ...]
    statements: tuple[str, ...]
    """Sentences, beside the table and the commands, on which a threshold rests."""
    page_worthy: tuple[str, ...]
    ticket_worthy: tuple[str, ...]
    handoff: tuple[str, ...]
    deviations: tuple[Deviation, ...]

    @property
    def commands(self) -> list[SeedCommand]:
        """Every command of the page and of the list beside it."""
        return [command for section in (*self.sections, *self.plain_kubectl) for command in section.commands]


@functools.cache
def production_runbook() -> SeedRunbook:
    """The transcription."""
    document = yaml.safe_load((_FOLDER / "production-runbook.yaml").read_text(encoding="utf-8"))
    return SeedRunbook(
        sections=tuple(_section(entry) for entry in document["sections"]),
        plain_kubectl=tuple(_section(entry) for entry in document["plain_kubectl"]),
        thresholds=tuple(Threshold(**entry) for entry in document["thresholds"]),
        statements=tuple(document["statements"]),
        page_worthy=tuple(document["page_worthy"]),
        ticket_worthy=tuple(document["ticket_worthy"]),
        handoff=tuple(document["handoff"]),
        deviations=tuple(
            Deviation(entry["says"], entry["holds"], tuple(entry["commands"])) for entry in document["deviations"]
        ),
    )


def fill(text: str, places: Mapping[str, str]) -> str:
    """The text with each <place> replaced."""
    for name, value in places.items():
        text = text.replace(f"<{name}>", value)
    return text


def _section(entry: dict[str, Any]) -> Section:
    commands = tuple(_command(command) for command in entry["commands"])
    return Section(entry["section"], commands, tuple(entry.get("needs", ())))


def _command(entry: dict[str, Any]) -> SeedCommand:
    return SeedCommand(**{**entry, "shows": tuple(entry.get("shows", ()))})
