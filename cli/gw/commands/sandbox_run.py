"""`gw sandbox run` and `gw sandbox logs`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.commands.sandbox import Dir
from gw.exits import ExitCode
from gw.options import parse_seconds


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "run", uses_cluster=False)(run)
    command(app, "logs", uses_cluster=False)(logs)


def run(
    invocation: Invocation,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A workflow file.")],
    repository: Annotated[
        str | None, typer.Option("--repository", metavar="OWNER/NAME", help="Whose run it is. Else the sandbox's own.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="DIR", help="What actions/checkout copies. Else the file's git work tree."),
    ] = None,
    timeout: Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to follow the run.")] = "10m",
    fail_on: Annotated[
        str, typer.Option("--fail-on", metavar="not-concluded|failure", help="Which jobs make it exit with 1.")
    ] = "not-concluded",
    folder: Dir = None,
) -> ExitCode:
    """Run a workflow file and follow its jobs.

    A job that fails is an outcome, not a failure of the gateway: exits with 0 when every job concluded, unless
    --fail-on failure.
    """
    from gw.ops.sandbox import dir_option, find_sandbox, folder_of, simulator_of
    from gw.ops.sandbox_run import RunOutcome, check_labels, follow, parse_fail_on
    from gw.ops.sandbox_workflow import read_workflow
    from gw.output.sandbox_run import RunFollower, advice, left_behind, run_view
    from gw.sources.cluster import ClusterTarget

    sandbox = find_sandbox(folder_of(folder))
    where = dir_option(sandbox.folder)
    repository = repository or sandbox.repository
    workflow = read_workflow(file, source, repository)
    failing, timeout_seconds = parse_fail_on(fail_on), parse_seconds(timeout, "--timeout")

    async def operation() -> RunOutcome:
        async with invocation.surroundings.open_cluster(ClusterTarget(sandbox.kubeconfig)) as cluster:
            await check_labels(cluster, workflow.job_labels)
        async with simulator_of(sandbox) as simulator:
            started = await simulator.start_run(
                repository=repository, path=workflow.path_in_source, workflow=workflow.text, source=str(workflow.source)
            )
            try:
                with invocation.printer.live() as board:
                    follower = RunFollower(invocation.printer, board)
                    return await follow(
                        simulator,
                        started,
                        fail_on=failing,
                        timeout_seconds=timeout_seconds,
                        clock=invocation.clock,
                        on_change=lambda now: follower.update(now, invocation.clock.now()),
                    )
            except (asyncio.CancelledError, KeyboardInterrupt):
                invocation.printer.notes(left_behind(started.id, where))
                raise

    outcome = asyncio.run(operation())
    invocation.printer.show(run_view(outcome, invocation.clock.now()))
    invocation.printer.notes(advice(outcome, where))
    return outcome.exit_code


def logs(
    invocation: Invocation,
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="A job's name, its beginning, or its id.")] = None,
    run_id: Annotated[int | None, typer.Option("--run", metavar="ID", help="The run. Else the latest one.")] = None,
    folder: Dir = None,
) -> ExitCode:
    """Show what the steps of a job printed.

    Those of all jobs when none is named.
    """
    from gw.ops.sandbox import find_sandbox, folder_of, simulator_of
    from gw.ops.sandbox_logs import RunLogs, read_logs
    from gw.output.sandbox_run import logs_view

    sandbox = find_sandbox(folder_of(folder))

    async def operation() -> RunLogs:
        async with simulator_of(sandbox) as simulator:
            return await read_logs(simulator, run_id=run_id, job=job)

    invocation.printer.show(logs_view(asyncio.run(operation())))
    return ExitCode.OK
