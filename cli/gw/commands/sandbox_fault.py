"""`gw sandbox fault`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.commands.sandbox import Dir
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import parse_seconds


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "fault", uses_cluster=False)(fault)


def fault(
    invocation: Invocation,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The fault. Else all are listed.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the fault back.")] = False,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", metavar="TENANT", help="The tenant that is hit. Else the only one."),
    ] = None,
    timeout: Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to wait.")] = "2m",
    folder: Dir = None,
) -> ExitCode:
    """Bring a fault into the sandbox, to practise, or take it back.

    Waits until it shows, or until nothing of it is left. Exits with 5 when that takes longer than --timeout.
    """
    from gw.ops.sandbox import dir_option, find_sandbox, folder_of
    from gw.ops.sandbox_fault import carry_out, list_faults, open_site, parse_fault
    from gw.output.sandbox_fault import fault_view, faults_view, next_steps

    wanted = parse_fault(name) if name else None
    if wanted is None and (undo or namespace):
        raise Refused("no fault is named", "Name one; `gw sandbox fault` lists them.")
    timeout_seconds = parse_seconds(timeout, "--timeout")
    sandbox = find_sandbox(folder_of(folder))

    async def operation() -> ExitCode:
        async with open_site(sandbox, invocation.clock) as site:
            if wanted is None:
                invocation.printer.show(faults_view(await list_faults(site)))
                return ExitCode.OK
            outcome = await carry_out(site, wanted, namespace, undone=undo, timeout_seconds=timeout_seconds)
        invocation.printer.show(fault_view(outcome))
        invocation.printer.notes(next_steps(outcome, dir_option(sandbox.folder)))
        return ExitCode.OK if outcome.settled else ExitCode.TIMED_OUT

    return asyncio.run(operation())
