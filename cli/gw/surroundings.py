"""What `gw` touches outside of itself: streams, time, the cluster, GitHub. Tests hand in their own.

The real ones import their libraries when they are first used, so that `gw --help` stays fast.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from actions_gateway.engine.clock import Clock
    from gw.ops.runbook.shell import Shell, ShellTarget
    from gw.sources.appcontrol import AppControl
    from gw.sources.cluster import Cluster, ClusterTarget
    from gw.sources.github import AskGitHub, GitHubFact, GitHubQuery
    from gw.sources.installation import Installation, InstallationQuery
    from gw.sources.places import HttpClient

OpenCluster = Callable[["ClusterTarget"], AbstractAsyncContextManager["Cluster"]]
LookUpInstallation = Callable[["InstallationQuery"], Awaitable["Installation"]]


@asynccontextmanager
async def _open_cluster(target: "ClusterTarget") -> AsyncIterator["Cluster"]:
    from gw.sources.cluster import open_cluster

    async with open_cluster(target) as cluster:
        yield cluster


async def _look_up_installation(query: "InstallationQuery") -> "Installation":
    from gw.sources.installation import look_up_installation

    return await look_up_installation(query)


async def _ask_github(query: "GitHubQuery") -> "GitHubFact":
    from gw.sources.github import ask_github

    return await ask_github(query)


def _app_control() -> "AppControl":
    from gw.sources.appcontrol import GitHubAppControl

    return GitHubAppControl()


def _open_http() -> "HttpClient":
    from gw.sources.places import open_http

    return open_http()


def _open_shell(target: "ShellTarget") -> "Shell":
    from gw.ops.runbook.shell import Bash

    return Bash(target)


def _system_clock() -> "Clock":
    from actions_gateway.engine.clock import SystemClock

    return SystemClock()


@dataclass(frozen=True)
class Surroundings:
    """The outside of one invocation."""

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    clock: "Clock" = field(default_factory=_system_clock)
    open_cluster: OpenCluster = _open_cluster
    look_up_installation: LookUpInstallation = _look_up_installation
    ask_github: "AskGitHub" = _ask_github
    app_control: Callable[[], "AppControl"] = _app_control
    open_http: Callable[[], "HttpClient"] = _open_http
    """To Prometheus and Alertmanager by URL."""
    open_shell: "Callable[[ShellTarget], Shell]" = _open_shell
    """In which the commands of a runbook's page are run."""
