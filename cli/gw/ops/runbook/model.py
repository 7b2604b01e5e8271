"""A runbook page as programs have it: what it is about, its sections, and the steps of a procedure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

ANYTHING = "anything"
"""The condition that always holds."""


class Kind(StrEnum):
    """What sort of page it is, in the order of every list."""

    PROCEDURE = "procedure"
    REFERENCE = "reference"
    ALERT = "alert"
    CHECK = "check"


class Need(StrEnum):
    """What a step takes; a program has to be on the path, of the rest the plan tells."""

    GW = "gw"
    KUBECTL = "kubectl"
    GH = "gh"
    HELM = "helm"
    BUILDAH = "buildah"
    PODMAN = "podman"
    SKOPEO = "skopeo"
    CTR = "ctr"
    GIT = "git"
    SHRED = "shred"
    VIEWER = "gw-viewer"
    """The role, or one that may read as much."""
    ONCALL = "gw-oncall"
    TENANT = "gw-tenant"
    PLATFORM = "cluster-admin"
    SECRETS = "secrets"
    """The right to read and write the tenant's Secrets."""
    GITHUB_OWNER = "github-owner"
    """Whoever owns the GitHub App, or the organization that it is installed in."""
    KEY_FILE = "key-file"
    """The App's private key, as GitHub gave it out."""
    RELEASE_FILE = "release-file"
    CHECKOUT = "checkout"
    """A work tree of this project's repository."""
    REGISTRY = "registry"
    MONITORING = "monitoring"
    """Prometheus and Alertmanager that gw finds."""
    SANDBOX = "sandbox"
    EDITOR = "editor"
    ARGOCD = "argocd"

    @property
    def is_program(self) -> bool:
        return self in _PROGRAMS


_PROGRAMS = frozenset(
    {
        Need.GW,
        Need.KUBECTL,
        Need.GH,
        Need.HELM,
        Need.BUILDAH,
        Need.PODMAN,
        Need.SKOPEO,
        Need.CTR,
        Need.GIT,
        Need.SHRED,
    }
)


class Changes(StrEnum):
    """Whether a block changes anything."""

    NO = "no"
    YES = "yes"
    ASKED = "asked"
    """It does, and its own command shows what and asks."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, with what has to hold before and after it."""

    number: int
    """From 1, in the order of the whole page."""
    line: int
    """Of the page's file, from 1: where it is declared."""
    section: str
    """The title of the section that it stands in."""
    needs: tuple[Need, ...]
    before: tuple[str, ...]
    """Names of the page's conditions; empty when nothing has to hold."""
    after: tuple[str, ...]
    is_aside: bool
    """Whether it is done only when the very heading above it is named: another way, a way back, a special case."""


@dataclass(frozen=True, slots=True)
class Block(Step):
    """Commands that a shell runs."""

    script: str
    """With places, as the page shows it."""
    changes: Changes
    exits: frozenset[int] = frozenset({0})
    """The exit codes with which each of its commands may end, so that it goes on."""
    waits: frozenset[int] = frozenset()
    """The exit codes with which it may wait for a person, whom its own words tell what to do; the run goes on only
    where what has to hold after it does."""
    confirm: str = ""
    """The place whose value is typed before it destroys anything; where it asks by itself, by its own command."""


@dataclass(frozen=True, slots=True)
class Deed(Step):
    """What only a person can do, such as in the settings of github.com."""

    text: str
    """The page's own words, as one line of text."""
    gives: tuple[str, ...] = ()
    """The places whose values are known only once it is done."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it, sections of a lower rank included."""

    title: str
    level: int
    line: int
    """Of the heading in the page's file, from 1."""
    text: str
    """From the heading on, without what is for machines."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page."""

    name: str
    """What it is called by: its file's name without the ending."""
    path: str
    """From the runbooks' folder."""
    kind: Kind
    title: str
    symptoms: tuple[str, ...]
    text: str
    """What people read: without front matter and without what is for machines."""
    sections: tuple[Section, ...]
    alerts: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    """Ids of the checks that tell of its subject."""
    places: Mapping[str, str] = field(default_factory=dict)
    """What each place in its commands stands for."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """By name, the command that exits with 0 while the condition holds."""
    steps: tuple[Step, ...] = ()
    not_rehearsed: str = ""
    """Why no test runs the page's steps; empty where one does."""
