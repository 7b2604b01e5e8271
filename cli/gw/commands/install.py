"""`gw install`."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import DryRun, Yes, parse_seconds

if TYPE_CHECKING:
    from gw.ops.installation.install import Install, Installed
    from gw.ops.installation.request import InstallRequest


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "install")(install)


class TenantNamespacesChoice(StrEnum):
    """The choices of `--tenant-namespaces`; the settings' own enumeration would cost pydantic at every start."""

    ANY = "any"
    MARKED = "marked"


class MonitoringChoice(StrEnum):
    """The choices of `--monitoring`."""

    AUTO = "auto"
    WITH = "with"
    WITHOUT = "without"


class LogLevel(StrEnum):
    """The choices of `--log-level`."""

    INFO = "info"
    DEBUG = "debug"


def install(
    invocation: Invocation,
    controller_image: Annotated[
        str | None,
        typer.Option("--controller-image", metavar="IMAGE", help="Manager's and agents' image, by digest."),
    ] = None,
    worker_image: Annotated[
        str | None,
        typer.Option(
            "--worker-image", metavar="IMAGE", help="The workers' image. Else as it is, at first this release's."
        ),
    ] = None,
    proxy_image: Annotated[
        str | None,
        typer.Option("--proxy-image", metavar="IMAGE", help="The tenants' proxies' image, Envoy. Else as it is."),
    ] = None,
    proxy_exception: Annotated[
        list[str] | None,
        typer.Option(
            "--proxy-exception",
            metavar="HOST=CIDR:PORT",
            help="What proxies may reach beyond public addresses on 443. Repeatable; '' takes all away. Else as it is.",
        ),
    ] = None,
    proxy_denied_cidr: Annotated[
        list[str] | None,
        typer.Option(
            "--proxy-denied-cidr",
            metavar="CIDR",
            help="The cluster's own public addresses, which proxies refuse. Repeatable; '' takes all away. Else as is.",
        ),
    ] = None,
    api_server_cidr: Annotated[
        list[str] | None,
        typer.Option(
            "--api-server-cidr",
            metavar="CIDR",
            help="Where agents reach the API server, and only there. Repeatable; '' opens any address. Else as it is.",
        ),
    ] = None,
    dns_peer: Annotated[
        list[str] | None,
        typer.Option(
            "--dns-peer",
            metavar="cluster|CIDR",
            help="The resolvers that tenants' pods may ask. Repeatable; '' opens any. Else as it is.",
        ),
    ] = None,
    release: Annotated[
        Path | None, typer.Option("--release", metavar="FILE", help="A release file that names the images.")
    ] = None,
    allow_floating_tags: Annotated[
        bool, typer.Option("--allow-floating-tags", help="Take images without a digest. For try-outs only.")
    ] = False,
    tenant_namespaces: Annotated[
        TenantNamespacesChoice | None,
        typer.Option(
            "--tenant-namespaces", help="Serve any namespace, or only those that the platform marked. Else as it is."
        ),
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option("--replicas", min=1, max=10, help="How many managers; one leads. Else as it is, at first 2."),
    ] = None,
    log_level: Annotated[
        LogLevel | None, typer.Option("--log-level", help="The manager's. Else as it is, at first info.")
    ] = None,
    monitoring: Annotated[
        MonitoringChoice,
        typer.Option("--monitoring", help="Monitors, rules and dashboards: auto takes those whose types are there."),
    ] = MonitoringChoice.AUTO,
    monitoring_label: Annotated[
        list[str] | None,
        typer.Option(
            "--monitoring-label",
            metavar="KEY=VALUE",
            help="By which Prometheus selects monitors and rules. Repeatable; '' takes all away. Else as it is.",
        ),
    ] = None,
    runbook_url: Annotated[
        str | None,
        typer.Option("--runbook-url", metavar="URL", help="Where runbooks/ is published, without it. Else as it is."),
    ] = None,
    grafana_url: Annotated[
        str | None,
        typer.Option("--grafana-url", metavar="URL", help="Grafana, for links of notifications. Else as it is."),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    export: Annotated[bool, typer.Option("--export", help="Print the manifests for GitOps; touch no cluster.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until the manager is available and leads.")
    ] = True,
    timeout: Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to wait at most.")] = "5m",
) -> ExitCode:
    """Install Actions Gateway on a cluster, or upgrade it.

    Shows a plan with every field that changes, lets the API server check it, asks, writes definitions first and the
    manager last, and waits until it leads. Doing it again changes nothing, and what no option names stays as it is.
    """
    from actions_gateway.settings import TenantNamespaces
    from gw.ops.installation.install import Install
    from gw.ops.installation.request import InstallWishes, Monitoring, check_wishes
    from gw.sources.places import parse_url

    timeout_seconds = parse_seconds(timeout, "--timeout")
    request = check_wishes(
        InstallWishes(
            controller_image=controller_image,
            worker_image=worker_image,
            proxy_image=proxy_image,
            proxy_exceptions=None if proxy_exception is None else tuple(proxy_exception),
            proxy_denied_cidrs=None if proxy_denied_cidr is None else tuple(proxy_denied_cidr),
            api_server_cidrs=None if api_server_cidr is None else tuple(api_server_cidr),
            dns_peers=None if dns_peer is None else tuple(dns_peer),
            release_file=release,
            allow_floating_tags=allow_floating_tags,
            tenant_namespaces=TenantNamespaces(tenant_namespaces.value) if tenant_namespaces else None,
            replicas=replicas,
            log_level=log_level.value if log_level else None,
            monitoring=Monitoring(monitoring.value),
            runbook_url=parse_url(runbook_url, "--runbook-url") if runbook_url else None,
            grafana_url=parse_url(grafana_url, "--grafana-url") if grafana_url else None,
            monitoring_labels=None if monitoring_label is None else tuple(monitoring_label),
        )
    )
    if export:
        return _export(invocation, request)
    result = _run(invocation, Install(request, timeout_seconds=timeout_seconds, dry_run=dry_run, yes=yes, wait=wait))
    return _kept_elsewhere(invocation, result) if result.kept_by else _show(invocation, result)


def _run(invocation: Invocation, order: "Install") -> "Installed":
    from gw.ops.installation.install import install as carry_out
    from gw.output.installation import PrintedConversation

    conversation = PrintedConversation(invocation.printer)

    async def operation() -> "Installed":
        try:
            return await carry_out(
                order, open_cluster=invocation.cluster, clock=invocation.clock, conversation=conversation
            )
        except (asyncio.CancelledError, KeyboardInterrupt):
            conversation.interrupted()
            raise

    return asyncio.run(operation())


def _show(invocation: Invocation, result: "Installed") -> ExitCode:
    from gw.output.installation import install_advice, installed_view

    invocation.printer.show(installed_view(result))
    invocation.printer.notes(install_advice(result))
    return ExitCode.OK


def _kept_elsewhere(invocation: Invocation, result: "Installed") -> ExitCode:
    """Prints what belongs into git; nothing was written, and the exit code says so to a script."""
    from actions_gateway.manifests.yamltext import render_documents
    from gw.output.installation import installed_view

    if not invocation.printer.is_for_people:
        invocation.printer.show(installed_view(result))
    elif result.for_git:
        invocation.printer.text(render_documents(result.for_git))
    for sentence in result.kept_by:
        invocation.printer.note(f"{sentence} and would undo a change made here; nothing was written.")
    if result.for_git:
        invocation.printer.note("Next:  Put the manifests above into the repository that it watches.")
    for identity in result.out_of_git:
        invocation.printer.note(f"Next:  Take the {identity} out of the repository: this release does not have it.")
    return ExitCode.REFUSED


def _export(invocation: Invocation, request: "InstallRequest") -> ExitCode:
    from gw.ops.installation.request import Monitoring
    from gw.ops.installation.wanted import export_manifests

    invocation.printer.text(export_manifests(request))
    invocation.printer.note(
        "No cluster was asked; with --dry-run in place of --export, gw asks one and writes nothing."
    )
    if request.unnamed:
        invocation.printer.note("What no option names is as in a first installation, whatever a cluster has.")
    if request.monitoring is Monitoring.AUTO:
        invocation.printer.note("Monitors, rules and dashboards are left out; --monitoring with adds them.")
    return ExitCode.OK
