"""`gw key status`, `gw key verify` and `gw key rotate`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import AllNamespaces, Confirm, DryRun, Namespace, PrometheusUrl, Tenant, TenantOrAll, Yes, parse_seconds

if TYPE_CHECKING:
    from gw.ops.keys.order import RotatedKey

_KeyFile = Annotated[
    Path, typer.Option("--private-key-file", metavar="FILE", help="The App's private key, as downloaded.")
]
_AppId = Annotated[str | None, typer.Option("--app-id", metavar="N", help="The GitHub App's id. Else the one in use.")]
_InstallationId = Annotated[
    str | None, typer.Option("--installation-id", metavar="N", help="The App's installation. Else the one in use.")
]
_CaBundleFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-bundle-file",
        metavar="FILE",
        help="Certificate authorities of a private GitHub. Else those that the gateway names.",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "status")(status)
    command(app, "verify")(verify)
    command(app, "rotate")(rotate)


def status(
    invocation: Invocation,
    tenant: TenantOrAll = None,
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
) -> ExitCode:
    """Show which App and key a tenant uses, and who else uses them.

    With the key's fingerprint and age, its permissions and its token's end, as the gateways' statuses tell. It judges
    nothing; `gw health --category credentials` does. Exits with 3 when a tenant's key is not known.
    """
    from gw.ops.keys.status import KeyReport, report_keys
    from gw.output.keys import key_report_view
    from gw.output.layout import unproven_lines

    wanted = invocation.namespace(tenant, namespace, everywhere=everywhere)

    async def operation() -> KeyReport:
        async with invocation.cluster() as cluster:
            return await report_keys(cluster, wanted, invocation.clock.now())

    report = asyncio.run(operation())
    invocation.printer.show(key_report_view(report))
    invocation.printer.notes(unproven_lines(report.unknown))
    # Who asks for one tenant may be its own people, who see no other.
    return ExitCode.UNKNOWN if report.unknown and wanted is None else ExitCode.OK


def verify(
    invocation: Invocation,
    private_key_file: _KeyFile,
    tenant: Tenant = None,
    namespace: Namespace = None,
    app_id: _AppId = None,
    installation_id: _InstallationId = None,
    ca_bundle_file: _CaBundleFile = None,
) -> ExitCode:
    """Prove a key at GitHub for a tenant, and write nothing.

    GitHub accepts the key, the installation covers the gateway's URL and grants what it takes. A token is minted for
    that and revoked at once. Exits with 4 when GitHub refuses, 3 when it gives no answer.
    """
    from gw.ops.keys.verifying import VerifiedKey, VerifyKey, verify_key
    from gw.output.changes import PrintedChanges
    from gw.output.keys import verified_key_view
    from gw.sources.github import read_key

    order = VerifyKey(
        _named(invocation, "verify", tenant, namespace),
        read_key(private_key_file),
        f"the private key file {private_key_file}",
        app_id,
        installation_id,
        ca_bundle_file,
    )
    _warn(invocation, private_key_file)
    conversation = PrintedChanges(invocation.printer)

    async def operation() -> VerifiedKey:
        async with invocation.cluster() as cluster:
            look_up = invocation.surroundings.look_up_installation
            return await verify_key(cluster, order, look_up=look_up, witness=conversation)

    invocation.printer.show(verified_key_view(asyncio.run(operation())))
    return ExitCode.OK


def rotate(
    invocation: Invocation,
    private_key_file: _KeyFile,
    tenant: Tenant = None,
    namespace: Namespace = None,
    compromised: Annotated[
        bool, typer.Option("--compromised", help="The old key is in wrong hands: never return to it.")
    ] = False,
    delete_old: Annotated[
        bool, typer.Option("--delete-old", help="Delete the old Secret once the new key works.")
    ] = False,
    shred: Annotated[
        bool, typer.Option("--shred", help="Overwrite and remove FILE in the end, as far as a program can.")
    ] = False,
    app_id: _AppId = None,
    installation_id: _InstallationId = None,
    ca_bundle_file: _CaBundleFile = None,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long the new key may take to come to work.")
    ] = "3m",
    prometheus_url: PrometheusUrl = None,
    yes: Yes = False,
    confirm: Confirm = None,
    dry_run: DryRun = False,
) -> ExitCode:
    """Change a tenant to a new key of its App.

    Proves the new key at GitHub, shows a plan, asks, writes a new Secret and the gateway's reference to it, and waits
    until the agent has minted a token with it and each group has a session. When that does not come and the old key
    still works, the gateway returns to it: exits with 1, or 5 when the time was up. A run that was interrupted goes on
    when it is given again.
    """
    from gw.ops.changes.carrying import Manner
    from gw.ops.keys.order import RotatedKey, RotateKey
    from gw.ops.keys.rotate import rotate_key
    from gw.ops.keys.shredding import refuse_unshreddable
    from gw.output.changes import PrintedChanges
    from gw.sources.github import read_key

    name = _named(invocation, "rotate", tenant, namespace)
    key = read_key(private_key_file)
    if shred:
        refuse_unshreddable(private_key_file)
    order = RotateKey(
        namespace=name,
        private_key=key,
        timeout_seconds=parse_seconds(timeout, "--timeout"),
        manner=Manner(dry_run=dry_run, yes=yes, confirm=confirm),
        app_id=app_id,
        installation_id=installation_id,
        compromised=compromised,
        delete_old=delete_old,
        ca_bundle=ca_bundle_file,
        source=f"the private key file {private_key_file}",
    )
    _warn(invocation, private_key_file)
    conversation, sources = PrintedChanges(invocation.printer), invocation.sources(prometheus_url)

    async def operation() -> RotatedKey:
        async with invocation.cluster() as cluster:
            look_up = invocation.surroundings.look_up_installation
            return await rotate_key(
                cluster, order, look_up=look_up, clock=invocation.clock, conversation=conversation, sources=sources
            )

    return _show(invocation, invocation.run(operation, conversation), private_key_file if shred else None)


def _show(invocation: Invocation, rotated: "RotatedKey", to_shred: Path | None) -> ExitCode:
    """The result; the file goes last of all, and only once the key is rotated."""
    from actions_gateway.manifests.yamltext import render_documents
    from gw.ops.keys.order import Outcome
    from gw.ops.keys.shredding import LIMITS, shred
    from gw.output.keys import advice, rotated_key_view

    is_used_elsewhere = rotated.sharing is None or bool(rotated.sharing)
    is_done = rotated.outcome is Outcome.ROTATED and rotated.is_proven and not is_used_elsewhere
    left: Refused | None = None
    if to_shred is not None and is_done:
        try:
            shred(to_shred)
        except Refused as problem:
            left = problem
    is_shredded = to_shred is not None and is_done and left is None
    if rotated.outcome is Outcome.LEFT_TO_GIT and invocation.printer.is_for_people:
        invocation.printer.text(render_documents(rotated.carried.for_git))
    else:
        invocation.printer.show(rotated_key_view(rotated, is_shredded=is_shredded))
    invocation.printer.notes(advice(rotated))
    if is_shredded:
        invocation.printer.note(f"Shredded: {LIMITS}.")
    elif to_shred is not None and not is_done:
        why = "others may need it" if rotated.is_proven and is_used_elsewhere else "its key is not proven to work yet"
        invocation.printer.note(f"The file {to_shred} stays: {why}.")
    if left is not None:
        raise left
    return rotated.exit_code


def _named(invocation: Invocation, verb: str, tenant: str | None, namespace: str | None) -> str:
    name = invocation.namespace(tenant, namespace)
    if name is None:
        raise Refused("no tenant was named", f"Name one: `gw key {verb} NAME …`; `gw tenant list` shows them.")
    return name


def _warn(invocation: Invocation, path: Path) -> None:
    from gw.ops.keys.shredding import is_open_to_others

    if is_open_to_others(path):
        invocation.printer.note(f"Others on this machine can read {path}: `chmod 600 {path}`.")
