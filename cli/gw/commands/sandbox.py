"""`gw sandbox up`, `down` and `status`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import parse_seconds

Dir = Annotated[
    Path | None,
    typer.Option("--dir", envvar="GW_SANDBOX_DIR", metavar="DIR", help="The sandbox's folder. Else one of your own."),
]
Kind = Annotated[
    str,
    typer.Option(
        "--cluster",
        metavar="embedded|real",
        help="What Kubernetes it is: a small one of ours, or the programs of `make controlplane`.",
    ),
]
Timeout = Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to wait.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "up", uses_cluster=False)(up)
    command(app, "down", uses_cluster=False)(down)
    command(app, "status", uses_cluster=False)(status)


def up(
    invocation: Invocation,
    folder: Dir = None,
    cluster: Kind = "embedded",
    owner_pid: Annotated[
        int | None, typer.Option("--owner-pid", metavar="PID", help="End the sandbox when this process ends.")
    ] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Leave Actions Gateway to `gw install` (with --cluster real).")
    ] = False,
    alert_speed: Annotated[
        float,
        typer.Option(
            "--alert-speed", metavar="TIMES", help="Alerts look back and wait so many times shorter, for drills."
        ),
    ] = 1.0,
    timeout: Timeout = "3m",
) -> ExitCode:
    """Start a sandbox and show how to use it.

    A cluster with the real manager, a GitHub that is a simulator, and workers that run as local processes. It stays
    until `gw sandbox down`; your kubeconfig is not touched.
    """
    from gw.ops.sandbox import dir_option, example_workflow, folder_of, parse_setup, start_sandbox
    from gw.ops.sandbox_monitoring import parse_pace
    from gw.output.sandbox import sandbox_view, try_next

    place, setup = folder_of(folder), parse_setup(cluster, is_bare=bare)
    pace = parse_pace(alert_speed)
    timeout_seconds = parse_seconds(timeout, "--timeout")
    invocation.printer.note(f"Starting a sandbox in {place} …")
    sandbox = start_sandbox(place, setup=setup, pace=pace, owner_pid=owner_pid, timeout_seconds=timeout_seconds)
    invocation.printer.show(sandbox_view(sandbox))
    invocation.printer.notes(try_next(sandbox, example_workflow(), dir_option(place)))
    return ExitCode.OK


def down(invocation: Invocation, folder: Dir = None, timeout: Timeout = "1m") -> ExitCode:
    """End the sandbox. Nothing of it is left."""
    from gw.ops.sandbox import folder_of, stop_sandbox
    from gw.output.sandbox import ended_view

    place = folder_of(folder)
    was_running = stop_sandbox(place, timeout_seconds=parse_seconds(timeout, "--timeout"))
    invocation.printer.show(ended_view(place, was_running=was_running))
    return ExitCode.OK


def status(invocation: Invocation, folder: Dir = None) -> ExitCode:
    """Show where the sandbox is and what it does.

    Exits with 2 when none is running, with 3 when one is and does not answer.
    """
    from gw.ops.sandbox import find_sandbox, folder_of, look_at
    from gw.output.sandbox import sandbox_state_view
    from gw.sources.cluster import ClusterTarget

    sandbox = find_sandbox(folder_of(folder))
    cluster = invocation.surroundings.open_cluster(ClusterTarget(sandbox.kubeconfig))
    state = asyncio.run(look_at(sandbox, cluster))
    invocation.printer.show(sandbox_state_view(state))
    return ExitCode.UNKNOWN if state.problems else ExitCode.OK
