"""`gw health`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import AlertmanagerUrl, AllNamespaces, Namespace, PrometheusUrl, TenantOrAll, parse_seconds
from gw_alerts.thresholds import Severity


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "health")(health)


def _check_ids(beginning: str) -> list[str]:
    from gw.checks.catalog import HEALTH

    return [check.id for check in HEALTH if check.id.startswith(beginning)]


def _categories(beginning: str) -> list[str]:
    from gw.checks.catalog import HEALTH

    return [name for name in dict.fromkeys(check.category.value for check in HEALTH) if name.startswith(beginning)]


def health(
    invocation: Invocation,
    tenant: TenantOrAll = None,
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
    check: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="ID", help="Only this check. May be repeated.", autocompletion=_check_ids),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            "--category",
            metavar="NAME",
            help="Only the checks about this, beside those of --check. May be repeated.",
            autocompletion=_categories,
        ),
    ] = None,
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="DURATION", help="Look again until all is well, at most so long.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on looking, and tell what turns, until interrupted.")
    ] = False,
    every: Annotated[str, typer.Option("--every", metavar="DURATION", help="Between two looks of --watch.")] = "5s",
    fail_on: Annotated[
        Severity, typer.Option("--fail-on", envvar="GW_FAIL_ON", help="Exit with 1 for a problem at least so severe.")
    ] = Severity.PAGE,
    prometheus_url: PrometheusUrl = None,
    alertmanager_url: AlertmanagerUrl = None,
    private_key_file: Annotated[
        Path | None,
        typer.Option(
            "--private-key-file",
            metavar="FILE",
            help="The private key of the tenant's App, to ask GitHub for jobs that nobody here is told of.",
        ),
    ] = None,
    ca_bundle_file: Annotated[
        Path | None,
        typer.Option("--ca-bundle-file", metavar="FILE", help="Certificate authorities of a private GitHub."),
    ] = None,
) -> ExitCode:
    """Check one tenant, or all of them and the platform.

    Exits with 0 when all is well, 1 for a problem, 3 when it could not find out, 5 when --wait ended in vain.
    """
    from gw.checks.catalog import HEALTH
    from gw.checks.comparison import Turn
    from gw.checks.engine import select
    from gw.ops.health import HealthReport, look
    from gw.ops.health import watch as keep_looking
    from gw.output.health import health_view, turned_view, waiting

    checks = select(HEALTH, check or [], category or [])
    wanted = invocation.namespace(tenant, namespace, everywhere=everywhere)
    wait_seconds = parse_seconds(wait, "--wait") if wait else 0.0
    every_seconds = parse_seconds(every, "--every")
    if watch and wait:
        raise Refused("--watch goes on when all is well, --wait ends then", "Leave out one of them.")
    if every_seconds < 1:
        raise Refused(f"--every {every}: the cluster is not asked more than once a second", "Write --every 1s or more.")

    if private_key_file is not None and wanted is None:
        raise Refused("--private-key-file is the key of one tenant's App", "Name the tenant.")
    sources = invocation.sources(
        prometheus_url, alertmanager_url, private_key_file=private_key_file, ca_bundle_file=ca_bundle_file
    )
    awaited: list[str] = []

    def on_wait(report: HealthReport) -> None:
        line = waiting(report)
        if awaited[-1:] != [line.plain]:
            awaited.append(line.plain)
            invocation.printer.note(line)

    def on_report(report: HealthReport, turned: tuple[Turn, ...]) -> None:
        invocation.printer.show(turned_view(report, turned) if turned else health_view(report))

    async def operation() -> HealthReport:
        async with invocation.cluster() as cluster:
            if watch:
                await keep_looking(
                    cluster,
                    checks,
                    namespace=wanted,
                    fail_on=fail_on,
                    clock=invocation.clock,
                    sources=sources,
                    named=check or (),
                    every_seconds=every_seconds,
                    on_report=on_report,
                )
            return await look(
                cluster,
                checks,
                namespace=wanted,
                fail_on=fail_on,
                clock=invocation.clock,
                sources=sources,
                named=check or (),
                wait_seconds=wait_seconds,
                on_wait=on_wait,
            )

    report = asyncio.run(operation())
    invocation.printer.show(health_view(report))
    return report.exit_code
