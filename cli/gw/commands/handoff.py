"""`gw handoff`."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import GwError, Refused
from gw.exits import ExitCode
from gw.options import AlertmanagerUrl, AllNamespaces, Namespace, PrometheusUrl, TenantOrAll, parse_seconds

if TYPE_CHECKING:
    from gw.ops.handoff.model import Handoff, Signature

_MOST_NOTE = 2000
_MOST_NAME = 200
_LONGEST = timedelta(days=31)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "handoff")(handoff)


def handoff(
    invocation: Invocation,
    tenant: TenantOrAll = None,
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
    since: Annotated[
        str,
        typer.Option("--since", metavar="12h|TIME", help="When the shift began: so long ago, or a time (RFC 3339)."),
    ] = "12h",
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Who takes over.")] = "",
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What the next one has to know.")] = "",
    sign: Annotated[
        bool, typer.Option("--sign", help="Hand over: store the document in the cluster and sign it.")
    ] = False,
    verify: Annotated[
        Path | None, typer.Option("--verify", metavar="FILE", help="Say whether a signed document was edited since.")
    ] = None,
    prometheus_url: PrometheusUrl = None,
    alertmanager_url: AlertmanagerUrl = None,
) -> ExitCode:
    """Hand a shift over: checklist, what changed, signature.

    Prints Markdown; without --sign it is a draft, and nothing is written. Exits with 0 when all eight items are done,
    1 when one is open, 3 when something is unknown.
    """
    from gw.ops.handoff.handing import Request, prepare
    from gw.ops.handoff.handing import sign as sign_it
    from gw.output.handoff.document import canonical, document, handoff_view
    from gw.output.handoff.text import markdown, signature_text

    if verify is not None:
        if sign:
            raise Refused("--verify looks at a signed document, --sign makes one", "Leave out one of them.")
        return _verify(invocation, verify)
    request = Request(
        namespace=invocation.namespace(tenant, namespace, everywhere=everywhere),
        since=_beginning(since, invocation.clock.now()),
        to=_bounded(to, "--to", _MOST_NAME),
        note=_bounded(note, "--note", _MOST_NOTE),
    )

    sources = invocation.sources(prometheus_url, alertmanager_url)

    async def operation() -> tuple["Handoff", "Signature | None", str, GwError | None]:
        async with invocation.cluster() as cluster:
            found = await prepare(cluster, request, invocation.clock, sources)
            if not sign:
                return found, None, "", None
            try:
                signature, remark = await sign_it(
                    cluster, found, markdown=markdown(found), canonical=canonical(document(found))
                )
            except GwError as problem:
                # What was found is worth reading, whoever may keep it.
                return found, None, "", problem
            return found, signature, remark, None

    found, signature, remark, problem = asyncio.run(operation())
    if invocation.printer.is_for_people:
        invocation.printer.text(markdown(found) + signature_text(signature))
    else:
        invocation.printer.show(handoff_view(found, signature))
    if problem is not None:
        raise problem
    if remark:
        invocation.printer.note(f"Note: {remark}.")
    return found.exit_code


def _verify(invocation: Invocation, path: Path) -> ExitCode:
    from gw.ops.handoff.verification import verify_document
    from gw.output.handoff.signed import read_signed, verdict_view

    signed = read_signed(path)

    async def operation() -> ExitCode:
        async with invocation.cluster() as cluster:
            verdict = await verify_document(cluster, signed)
        invocation.printer.show(verdict_view(signed, verdict))
        return verdict.exit_code

    return asyncio.run(operation())


def _beginning(text: str, now: datetime) -> datetime:
    """The shift's beginning; raises Refused."""
    is_time = "T" in text or text.count("-") >= 2
    if is_time:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Refused(f"--since: {text!r} is no time", _example(now)) from None
        if moment.tzinfo is None:
            raise Refused(f"--since: {text!r} does not say its zone", _example(now))
        moment = moment.astimezone(UTC)
    else:
        moment = now - timedelta(seconds=min(parse_seconds(text, "--since"), _LONGEST.total_seconds() + 1))
    if moment >= now:
        raise Refused(f"--since {text}: the shift began in the future, or now", _example(now))
    if now - moment > _LONGEST:
        raise Refused(f"--since {text}: a shift has {_LONGEST.days} days at most", _example(now))
    return moment


def _example(now: datetime) -> str:
    return f"Write --since 12h, or --since {now - timedelta(hours=12):%Y-%m-%dT%H:%M:%SZ}."


def _bounded(text: str, option: str, most: int) -> str:
    """The text without spaces around it; raises Refused for one that no record keeps."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Refused(f"{option} is no UTF-8", "Write it again, in a terminal whose encoding is UTF-8.")
    if len(text) > most:
        raise Refused(f"{option} has {len(text)} characters, and a record keeps {most}", "Write it shorter.")
    return text.strip()
