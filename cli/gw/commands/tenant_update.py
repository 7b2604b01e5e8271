"""`gw tenant update`."""

from pathlib import Path
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.completion import complete_runner_group
from gw.exits import ExitCode
from gw.options import Confirm, DryRun, Export, Namespace, Tenant, Timeout, Yes, parse_seconds


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "update")(update)


def update(
    invocation: Invocation,
    tenant: Tenant = None,
    namespace: Namespace = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="An ActionsGateway, whose spec is wanted as it stands."),
    ] = None,
    github_url: Annotated[
        str | None,
        typer.Option("--github-url", metavar="URL", help="The organization or repository whose jobs to run."),
    ] = None,
    runner_group: Annotated[
        list[str] | None,
        typer.Option(
            "--runner-group",
            metavar="GROUP",
            help='A runner group to add, or the fields of one to change, such as "cpu labels=self-hosted,linux '
            'maxListeners=5". May be repeated.',
        ),
    ] = None,
    remove_runner_group: Annotated[
        list[str] | None,
        typer.Option(
            "--remove-runner-group",
            metavar="NAME",
            help="A runner group that goes. May be repeated.",
            autocompletion=complete_runner_group,
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", metavar="HOST", help="A host name, or *.suffix, to allow. May be repeated."),
    ] = None,
    remove_allowed_host: Annotated[
        list[str] | None,
        typer.Option("--remove-allowed-host", metavar="HOST", help="One to allow no more. May be repeated."),
    ] = None,
    access_log: Annotated[
        bool | None,
        typer.Option("--access-log/--no-access-log", help="Whether proxies log each tunnel.", show_default=False),
    ] = None,
    min_proxies: Annotated[
        int | None, typer.Option("--min-proxies", metavar="N", help="How many proxies there are at least.")
    ] = None,
    max_proxies: Annotated[
        int | None, typer.Option("--max-proxies", metavar="N", help="How many proxies there are at most.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="What the agent logs: info or debug.")
    ] = None,
    security_profile: Annotated[
        str | None,
        typer.Option(
            "--security-profile", metavar="PROFILE", help="The workers' floor: baseline, restricted or privileged."
        ),
    ] = None,
    ca_bundle_file: Annotated[
        Path | None,
        typer.Option("--ca-bundle-file", metavar="FILE", help="Certificate authorities of a private GitHub."),
    ] = None,
    timeout: Timeout = "2m",
    yes: Yes = False,
    confirm: Confirm = None,
    dry_run: DryRun = False,
    export: Export = False,
) -> ExitCode:
    """Update a tenant's settings, from options or from a file.

    Shows every field that changes, lets the API server check it, asks, writes, and waits until manager and agent have
    taken it. The App's key is changed by `gw key rotate`, a group's size by `gw runner-group scale`.
    """
    from gw.ops.changes.carrying import Manner
    from gw.ops.tenancy.update import UpdatedTenant, UpdateTenant, update_tenant
    from gw.ops.tenancy.wishes import Wishes
    from gw.output.changes import PrintedChanges
    from gw.output.tenancy import updated_tenant_view

    order = UpdateTenant(
        invocation.one_tenant("gw tenant update NAME …", tenant, namespace),
        Wishes(
            gateway_file=file,
            github_url=github_url,
            runner_groups=tuple(runner_group or ()),
            removed_groups=tuple(remove_runner_group or ()),
            allowed_hosts=tuple(allowed_host or ()),
            removed_hosts=tuple(remove_allowed_host or ()),
            access_log=access_log,
            min_proxies=min_proxies,
            max_proxies=max_proxies,
            log_level=log_level,
            security_profile=security_profile,
            ca_bundle_file=ca_bundle_file,
        ),
        timeout_seconds=parse_seconds(timeout, "--timeout"),
        manner=Manner(dry_run=dry_run, yes=yes, confirm=confirm, export=export),
    )
    conversation = PrintedChanges(invocation.printer)

    async def operation() -> UpdatedTenant:
        async with invocation.cluster() as cluster:
            return await update_tenant(cluster, order, clock=invocation.clock, conversation=conversation)

    updated = invocation.run(operation, conversation)
    return invocation.show_carried(updated.carried, updated_tenant_view(updated), export=export)
