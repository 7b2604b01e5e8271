"""`gw tenant add`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import DryRun, Yes, parse_seconds

if TYPE_CHECKING:
    from gw.ops.onboarding.request import TenantRequest


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "add")(add)


def add(
    invocation: Invocation,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tenant's name: its namespace.")],
    app_id: Annotated[str, typer.Option("--app-id", metavar="N", help="The GitHub App's id.")],
    installation_id: Annotated[str, typer.Option("--installation-id", metavar="N", help="The App's installation.")],
    github_url: Annotated[
        str | None,
        typer.Option("--github-url", metavar="URL", help="The organization or repository whose jobs to run."),
    ] = None,
    private_key_file: Annotated[
        Path | None, typer.Option("--private-key-file", metavar="FILE", help="The App's private key, as downloaded.")
    ] = None,
    ca_bundle_file: Annotated[
        Path | None,
        typer.Option("--ca-bundle-file", metavar="FILE", help="Certificate authorities of a private GitHub."),
    ] = None,
    runner_group: Annotated[
        list[str] | None,
        typer.Option(
            "--runner-group",
            metavar="GROUP",
            help='A runner group, such as "cpu labels=self-hosted,linux maxWorkers=30" or '
            '"gpu labels=self-hosted,gpu tiers=critical:5,standard:20". May be repeated.',
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="An ActionsGateway to start from.")
    ] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option("--quota", metavar="LIMITS", help="A ResourceQuota, such as pods=50,requests.cpu=100."),
    ] = None,
    gateway_name: Annotated[
        str | None, typer.Option("--gateway-name", metavar="NAME", help="The gateway's name. Else the tenant's.")
    ] = None,
    use_existing_namespace: Annotated[
        bool, typer.Option("--use-existing-namespace", help="Take a namespace that gw did not make.")
    ] = False,
    skip_github_check: Annotated[
        bool, typer.Option("--skip-github-check", help="Do not ask GitHub whether key and installation work.")
    ] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long to wait until the tenant works.")
    ] = "60s",
    yes: Yes = False,
    dry_run: DryRun = False,
    export: Annotated[
        bool, typer.Option("--export", help="Print the manifests for GitOps, without the key; touch no cluster.")
    ] = False,
) -> ExitCode:
    """Add a tenant and wait until it works.

    Proves key, installation and permissions at GitHub, shows a plan, lets the API server check it, asks, writes
    namespace, Secret and ActionsGateway, and waits until every runner group has an open session. Doing it again
    changes nothing.
    """
    from gw.ops.changes.carrying import Manner
    from gw.ops.onboarding.add import AddedTenant, AddTenant, add_tenant
    from gw.ops.onboarding.request import TenantWishes, check_wishes
    from gw.output.changes import PrintedChanges
    from gw.output.onboarding import added_tenant_view, advice

    request = check_wishes(
        TenantWishes(
            namespace=name,
            app_id=app_id,
            installation_id=installation_id,
            private_key_file=private_key_file,
            github_url=github_url,
            gateway_name=gateway_name,
            ca_bundle_file=ca_bundle_file,
            runner_groups=runner_group or [],
            gateway_file=file,
            quota=quota or [],
            use_existing_namespace=use_existing_namespace,
        )
    )
    if export:
        return _export(invocation, request)
    order = AddTenant(
        request,
        timeout_seconds=parse_seconds(timeout, "--timeout"),
        manner=Manner(dry_run=dry_run, yes=yes),
        skip_github_check=skip_github_check,
    )

    conversation = PrintedChanges(invocation.printer)

    async def operation() -> AddedTenant:
        return await add_tenant(
            order,
            open_cluster=invocation.cluster,
            look_up=invocation.surroundings.look_up_installation,
            clock=invocation.clock,
            conversation=conversation,
        )

    added = invocation.run(operation, conversation)
    invocation.printer.show(added_tenant_view(added))
    invocation.printer.notes(advice(added))
    return ExitCode.OK


def _export(invocation: Invocation, request: "TenantRequest") -> ExitCode:
    from gw.ops.onboarding.export import export_manifests

    invocation.printer.text(export_manifests(request))
    invocation.printer.note(
        "Neither GitHub nor a cluster was asked; with --dry-run in place of --export, gw asks both and writes nothing."
    )
    return ExitCode.OK
