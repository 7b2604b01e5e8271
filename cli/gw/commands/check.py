"""`gw check`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import parse_seconds
from gw_alerts.thresholds import Severity

if TYPE_CHECKING:
    from gw.ops.health import HealthReport


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "check")(check)


def _check_ids(beginning: str) -> list[str]:
    from gw.checks.catalog import INSTALLATION, PREREQUISITES

    ids = dict.fromkeys(check.id for check in (*PREREQUISITES, *INSTALLATION))
    return [check_id for check_id in ids if check_id.startswith(beginning)]


def check(
    invocation: Invocation,
    pre: Annotated[bool, typer.Option("--pre", help="Before there is an installation: can this cluster take one?")] = (
        False
    ),
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
    """Check the cluster as a place to install on.

    Version, definitions, policies, Pod Security, network plugin, metrics, clocks, images. Writes nothing. Exits with 0
    when all is well, 1 for a problem, 3 when it could not find out, 5 when --wait ended in vain.
    """
    from gw.checks.catalog import INSTALLATION, PREREQUISITES
    from gw.checks.engine import select
    from gw.ops.health import look
    from gw.output.health import check_view

    checks = select(PREREQUISITES if pre else INSTALLATION, check or [])
    wait_seconds = parse_seconds(wait, "--wait") if wait else 0.0

    async def operation() -> "HealthReport":
        async with invocation.cluster() as cluster:
            return await look(
                cluster, checks, namespace=None, fail_on=fail_on, clock=invocation.clock, wait_seconds=wait_seconds
            )

    report = asyncio.run(operation())
    invocation.printer.show(check_view(report))
    return report.exit_code
