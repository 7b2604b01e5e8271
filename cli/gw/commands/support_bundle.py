"""`gw support-bundle`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import AllNamespaces, Namespace, PrometheusUrl, TenantOrAll, Yes, parse_seconds


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "support-bundle")(support_bundle)


def support_bundle(
    invocation: Invocation,
    tenant: TenantOrAll = None,
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
    output_file: Annotated[
        Path | None,
        typer.Option("--output-file", metavar="FILE.tar.gz", help="Where it goes. Else here, with tenant and time."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="DURATION", help="How far back logs, events and series go.")
    ] = "1h",
    max_size: Annotated[str, typer.Option("--max-size", metavar="SIZE", help="Of the file, at most.")] = "50MiB",
    timeout: Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to collect, at most.")] = "2m",
    no_redaction: Annotated[
        bool, typer.Option("--no-redaction", help="Leave keys and tokens in logs and objects as they are.")
    ] = False,
    prometheus_url: PrometheusUrl = None,
    yes: Yes = False,
) -> ExitCode:
    """Collect what somebody needs who helps from afar.

    Versions, every check's result, objects, events, series and logs of a tenant and the platform, in one archive with
    a MANIFEST.json. Secrets are never read; what looks like a key, token or password is removed and counted. Exits
    with 3 when something could not be read: the rest is there.
    """
    from gw.ops.bundle.archive import Destination, Written
    from gw.ops.bundle.collect import Collecting
    from gw.ops.bundle.model import Bundle, BundleRequest, parse_size
    from gw.output.bundle import bundle_view
    from gw.output.health import health_view

    request = BundleRequest(
        namespace=invocation.namespace(tenant, namespace, everywhere=everywhere),
        since_seconds=_positive(since, "--since"),
        max_bytes=parse_size(max_size),
        timeout_seconds=_positive(timeout, "--timeout"),
        sources=invocation.sources(prometheus_url),
        is_redacted=not no_redaction,
    )
    printer = invocation.printer
    if no_redaction and not yes:
        what = "the bundle would hold keys and tokens that logs and objects hold"
        if not printer.confirm(
            f"{what[0].upper()}{what[1:]}. Go on?", what=what, next_step="Leave out --no-redaction."
        ):
            raise Refused("it was not confirmed; nothing was collected", "Leave out --no-redaction.")
    moment = invocation.clock.now().strftime("%Y%m%dT%H%M%SZ")
    path = output_file or Path(f"gw-support-{request.namespace or 'all'}-{moment}.tar.gz")

    async def operation() -> tuple[Bundle, Written]:
        with Destination(path) as destination:
            async with invocation.cluster() as cluster:
                collecting = Collecting(
                    cluster,
                    request,
                    invocation.clock,
                    render=lambda report: health_view(report).document(),
                    on_part=lambda name: printer.note(f"Collecting {name} …"),
                )
                bundle = await collecting.collect()
            return bundle, destination.write(bundle)

    bundle, written = asyncio.run(operation())
    printer.show(bundle_view(bundle, written))
    return bundle.exit_code


def _positive(text: str, option: str) -> float:
    seconds = parse_seconds(text, option)
    if seconds <= 0:
        raise Refused(f"{option} {text}: nothing comes of no time at all", f"Write {option} 10m, for example.")
    return seconds
