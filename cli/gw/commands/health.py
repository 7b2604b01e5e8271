"""`gw health`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import AllNamespaces, Namespace, parse_seconds
from gw_alerts.thresholds import Severity


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "health")(health)


def _check_ids(beginning: str) -> list[str]:
    from gw.checks.catalog import HEALTH

    return [check.id for check in HEALTH if check.id.startswith(beginning)]


def health(
    invocation: Invocation,
    tenant: Annotated[
        str | None, typer.Argument(metavar="TENANT", help="The tenant. All of them when left out.")
    ] = None,
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
    check: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="ID", help="Only this check. May be repeated.", autocompletion=_check_ids),
    ] = None,
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="DURATION", help="Look again until all is well, at most so long.")
    ] = None,
    fail_on: Annotated[
        Severity, typer.Option("--fail-on", envvar="GW_FAIL_ON", help="Exit with 1 for a problem at least so severe.")
    ] = Severity.PAGE,
) -> ExitCode:
    """Check one tenant, or all of them and the platform.

    Exits with 0 when all is well, 1 for a problem, 3 when it could not find out, 5 when --wait ended in vain.
    """
    from gw.checks.catalog import HEALTH
    from gw.checks.engine import select
    from gw.ops.health import HealthReport, look
    from gw.output.health import health_view, waiting

    checks = select(HEALTH, check or [])
    wanted = invocation.namespace(tenant, namespace, everywhere=everywhere)
    wait_seconds = parse_seconds(wait, "--wait") if wait else 0.0

    awaited: list[str] = []

    def on_wait(report: HealthReport) -> None:
        line = waiting(report)
        if awaited[-1:] != [line.plain]:
            awaited.append(line.plain)
            invocation.printer.note(line)

    async def operation() -> HealthReport:
        async with invocation.cluster() as cluster:
            return await look(
                cluster,
                checks,
                namespace=wanted,
                fail_on=fail_on,
                clock=invocation.clock,
                wait_seconds=wait_seconds,
                on_wait=on_wait,
            )

    report = asyncio.run(operation())
    invocation.printer.show(health_view(report))
    return report.exit_code
