"""`gw job list`, `gw job show` and `gw job rerun`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import AllNamespaces, DryRun, Namespace, TenantOrAll, Yes, parse_seconds

_REFERENCE = "A run's id, the address of a run or of a job at GitHub, or a worker's pod."


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "list")(list_)
    command(app, "show")(show)
    command(app, "rerun")(rerun)


def _states(beginning: str) -> list[str]:
    from gw.ops.jobs import JobState

    return [state for state in JobState if state.startswith(beginning)]


def list_(
    invocation: Invocation,
    tenant: TenantOrAll = None,
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only jobs that are running, waiting, lost or rerun. May be repeated.",
            autocompletion=_states,
        ),
    ] = None,
) -> ExitCode:
    """List jobs that run, that wait, and that lost their worker.

    Exits with 3 when something could not be read, or may have changed since a tenant's agent went.
    """
    from gw.ops.jobs import JobReport, JobState, list_jobs
    from gw.output.jobs import job_list_view

    unknown = [name for name in state or [] if name not in list(JobState)]
    if unknown:
        raise Refused(f"--state {unknown[0]}: there is no such state", f"States: {', '.join(JobState)}.")
    wanted = invocation.namespace(tenant, namespace, everywhere=everywhere)

    async def operation() -> JobReport:
        async with invocation.cluster() as cluster:
            return await list_jobs(cluster, wanted, [JobState(name) for name in state or []], invocation.clock)

    report = asyncio.run(operation())
    invocation.printer.show(job_list_view(report))
    return report.exit_code


def show(
    invocation: Invocation,
    reference: Annotated[str, typer.Argument(metavar="RUN", help=_REFERENCE)],
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
) -> ExitCode:
    """Show all that is known of a run or of a job.

    Its worker, its loss, its rerun. Exits with 2 when nothing is known of it, 3 when something could not be read, or
    may have changed since its tenant's agent went.
    """
    from gw.ops.jobs import JobReport, find_jobs
    from gw.output.jobs import job_detail_view
    from gw.sources.jobs import parse_job_reference

    wanted, where = parse_job_reference(reference), invocation.namespace(namespace, everywhere=everywhere)

    async def operation() -> JobReport:
        async with invocation.cluster() as cluster:
            return await find_jobs(cluster, where, wanted, invocation.clock)

    report = asyncio.run(operation())
    invocation.printer.show(job_detail_view(report))
    return report.exit_code


def rerun(
    invocation: Invocation,
    references: Annotated[list[str] | None, typer.Argument(metavar="RUN", help=_REFERENCE)] = None,
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
    exhausted: Annotated[
        bool, typer.Option("--exhausted", help="The tenant's jobs whose run has no retry left.")
    ] = False,
    lost: Annotated[
        bool, typer.Option("--lost", help="All jobs of the tenant that need a person: lost locks and refusals, too.")
    ] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long to follow until all are decided.")
    ] = "10m",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> ExitCode:
    """Have lost jobs rerun that nobody reruns by themselves.

    Shows a plan, lets the API server check it, asks, tells the tenant's agent, and follows until GitHub was asked for
    each rerun, which it takes when the run has ended. No retry of the run is charged. Exits with 1 when GitHub refuses
    one, 2 when nothing needs a rerun, 5 when --timeout was too short: the request stays.
    """
    import secrets

    from gw.ops.rerun_plan import RerunOrder, Selection
    from gw.ops.reruns import RerunResult, rerun_jobs
    from gw.output.reruns import PrintedReruns, rerun_view
    from gw.sources.jobs import parse_job_reference

    where = invocation.namespace(namespace, everywhere=everywhere)
    if bool(references) + exhausted + lost != 1:
        raise Refused(
            "which jobs to rerun was not said, or said twice",
            "Name runs, or give --exhausted or --lost with -n NAME.",
        )
    if not references and where is None:
        raise Refused("no tenant was named", "Name one with -n; `gw job list -A --state lost` shows the jobs of all.")
    order = RerunOrder(
        namespace=where,
        references=tuple(parse_job_reference(text) for text in references or []),
        selection=Selection.EXHAUSTED if exhausted else Selection.LOST if lost else None,
        token=secrets.token_hex(8),
        timeout_seconds=parse_seconds(timeout, "--timeout"),
        dry_run=dry_run,
        yes=yes,
    )

    conversation = PrintedReruns(invocation.printer)

    async def operation() -> RerunResult:
        try:
            async with invocation.cluster() as cluster:
                return await rerun_jobs(cluster, order, clock=invocation.clock, conversation=conversation)
        except (asyncio.CancelledError, KeyboardInterrupt):
            conversation.interrupted()
            raise

    result = asyncio.run(operation())
    invocation.printer.show(rerun_view(result))
    return result.exit_code
