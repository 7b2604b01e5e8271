"""The sandbox itself as text and as documents: where it is, what to try next, what it does."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.text import Text

from gw.checks.wording import counted
from gw.output.layout import Cell, columns, styled
from gw.output.view import View
from gw.sources.sandbox import SandboxFact, SandboxState

_EXAMPLE_GROUPS = (
    '--runner-group "cpu-runners labels=self-hosted,linux maxWorkers=30" \\',
    '--runner-group "gpu-runners labels=self-hosted,gpu maxListeners=10"',
)


def sandbox_view(sandbox: SandboxFact) -> View:
    """Where a running sandbox is."""
    return View(
        kind="Sandbox",
        data=_data(sandbox),
        lines=lambda: [*columns(_place_rows(sandbox)), *_left_out_lines(sandbox)],
        short=[str(sandbox.kubeconfig)],
    )


def sandbox_state_view(state: SandboxState) -> View:
    """Where it is and what it does."""
    data = _data(state.sandbox) | {
        "tenants": None if state.tenants is None else list(state.tenants),
        "runs": state.runs,
        "jobs": None if state.jobs is None else dict(state.jobs),
        "runner_count": state.runner_count,
        "session_count": state.session_count,
        "problems": list(state.problems),
    }
    return View(
        kind="SandboxStatus",
        data=data,
        lines=lambda: _state_lines(state),
        short=[f"running {state.sandbox.folder}"],
    )


def ended_view(folder: Path, *, was_running: bool) -> View:
    """That nothing runs any more."""
    sentence = f"The sandbox in {folder} has ended." if was_running else f"No sandbox was running in {folder}."
    return View(
        kind="EndedSandbox",
        data={"folder": str(folder), "was_running": was_running},
        lines=lambda: [Text(sentence)],
        short=["ended" if was_running else "none"],
    )


def try_next(sandbox: SandboxFact, workflow: Path, where: str) -> list[Text]:
    """What a newcomer may type next, with this sandbox's own values; `where` is the option that finds the sandbox."""
    quoted = {name: shlex.quote(str(value)) for name, value in _data(sandbox).items()}
    lines = [
        f"export KUBECONFIG={quoted['kubeconfig']}{_monitoring_variables(sandbox)}",
        *(_install_lines(sandbox) if sandbox.is_bare else ()),
        f"gw tenant add team-a --yes --github-url {sandbox.github_url}/{sandbox.repository} \\",
        f"  --app-id {sandbox.app_id} --installation-id {sandbox.installation_id} \\",
        f"  --private-key-file {quoted['app_key_path']} --ca-bundle-file {quoted['ca_path']} \\",
        *(f"  {group}" for group in _EXAMPLE_GROUPS),
        f"gw sandbox run{where} {shlex.quote(str(workflow))}",
        "gw health",
        f"gw sandbox status{where}   # what it does",
        *([f"gw sandbox notifications{where}   # whom its alerts told"] if sandbox.inbox_url else []),
        f"gw sandbox down{where}     # ends it; nothing is left",
    ]
    return [styled("Try next:", "head"), *(Text(f"  {line}") for line in lines)]


def _monitoring_variables(sandbox: SandboxFact) -> str:
    """What makes gw find both: discovery goes through the API server, which has no route to them here."""
    urls = {"GW_PROMETHEUS_URL": sandbox.prometheus_url, "GW_ALERTMANAGER_URL": sandbox.alertmanager_url}
    return "".join(f" {name}={url}" for name, url in urls.items() if url)


def _install_lines(sandbox: SandboxFact) -> tuple[str, ...]:
    return (
        "gw check --pre",
        # Processes stand for the image: there is no digest to name.
        f"gw install --yes --allow-floating-tags --controller-image {sandbox.controller_image} \\",
        f"  --proxy-exception {sandbox.egress_exception}",
    )


def _place_rows(sandbox: SandboxFact) -> list[list[Cell]]:
    return [
        ["Sandbox", f"running since {sandbox.started_at} (process {sandbox.pid})"],
        ["Cluster", f"{sandbox.cluster}, without Actions Gateway" if sandbox.is_bare else sandbox.cluster],
        ["Folder", str(sandbox.folder)],
        ["Kubeconfig", str(sandbox.kubeconfig)],
        ["API server", sandbox.api_url],
        ["GitHub", f"{sandbox.github_url}/{sandbox.repository}"],
        ["CA", str(sandbox.ca_path)],
        ["App", f"{sandbox.app_id}, installation {sandbox.installation_id}, key {sandbox.app_key_path}"],
        ["Priority classes", ", ".join(sandbox.priority_classes) or "none"],
        ["Prometheus", sandbox.prometheus_url or _not_installed("prometheus")],
        ["Alertmanager", sandbox.alertmanager_url or _not_installed("prometheus-alertmanager")],
    ]


def _not_installed(package: str) -> str:
    return f"not installed: Debian's package {package} brings it"


def _state_rows(state: SandboxState) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    if state.tenants is not None:
        rows.append(["Tenants", ", ".join(state.tenants) or "none"])
    if state.jobs is not None:
        jobs = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in state.jobs.items())
        runners = f"{counted(state.runner_count, 'runner')}, {counted(state.session_count, 'session')}"
        rows += [["Runs", str(state.runs)], ["Jobs", jobs], ["Runners", runners]]
    return rows


def _state_lines(state: SandboxState) -> list[Text]:
    return [
        *columns([*_place_rows(state.sandbox), *_state_rows(state)]),
        *(styled(f"Problem: {problem}", "bad") for problem in state.problems),
        *_left_out_lines(state.sandbox),
    ]


def _left_out_lines(sandbox: SandboxFact) -> list[Text]:
    title = styled(f"This {sandbox.cluster} cluster leaves out", "head")
    return [Text(), title, *(Text(f"  {what}") for what in sandbox.left_out)]


def _data(sandbox: SandboxFact) -> dict[str, Any]:
    values = {field.name: getattr(sandbox, field.name) for field in fields(SandboxFact)}
    return {name: list(value) if isinstance(value, tuple) else _plain(value) for name, value in values.items()}


def _plain(value: object) -> object:
    return value if isinstance(value, int | str | None) else str(value)
