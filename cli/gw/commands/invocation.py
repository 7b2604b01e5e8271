"""Makes a function a command: adds the options that every command has, runs it, and turns its end into an exit code.

A command function takes an `Invocation` first, then its own options, and returns an `ExitCode`. The shared options
stand in its signature after its own, so that they may be given anywhere on the command line, as with kubectl.
"""

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import typer

from gw.config import Config, read_config
from gw.errors import GwError, Refused
from gw.exits import ExitCode
from gw.options import Context, Debug, Kubeconfig, Output, OutputFormat
from gw.surroundings import Surroundings

if TYPE_CHECKING:
    from actions_gateway.engine.clock import Clock
    from gw.ops.changes.carrying import Carried
    from gw.output.changes import PrintedChanges
    from gw.output.printer import Printer
    from gw.output.view import View
    from gw.sources.cluster import Cluster
    from gw.sources.places import Sources

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Invocation:
    """One call of one command, with its shared options settled."""

    printer: "Printer"
    surroundings: Surroundings
    config: Config
    kubeconfig: Path | None
    context: str | None

    @property
    def clock(self) -> "Clock":
        return self.surroundings.clock

    def cluster(self) -> AbstractAsyncContextManager["Cluster"]:
        """A connection to the cluster that was named, or to the discovered one."""
        from gw.sources.cluster import ClusterTarget

        return self.surroundings.open_cluster(ClusterTarget(self.kubeconfig, self.context))

    def sources(
        self,
        prometheus_url: str | None = None,
        alertmanager_url: str | None = None,
        *,
        private_key_file: Path | None = None,
        ca_bundle_file: Path | None = None,
    ) -> "Sources":
        """Where monitoring is asked, by these options, the settings file, or discovery; raises Refused.

        With the file of an App's private key GitHub is asked, too.
        """
        from gw.sources.endpoints import ALERTMANAGER, PROMETHEUS
        from gw.sources.github import GitHubAccess, read_key
        from gw.sources.places import Sources, parse_url

        access = None
        if private_key_file is not None:
            access = GitHubAccess(read_key(private_key_file), ca_bundle_file, self.surroundings.ask_github)
        prometheus = prometheus_url or self.config.prometheus_url
        alertmanager = alertmanager_url or self.config.alertmanager_url
        return Sources(
            prometheus_url=parse_url(prometheus, PROMETHEUS.option) if prometheus else None,
            alertmanager_url=parse_url(alertmanager, ALERTMANAGER.option) if alertmanager else None,
            open_http=self.surroundings.open_http,
            github=access,
        )

    def run(self, operation: Callable[[], Coroutine[Any, Any, T]], conversation: "PrintedChanges") -> T:
        """Runs what writes; an interrupt says what it leaves behind."""

        async def interruptible() -> T:
            try:
                return await operation()
            except (asyncio.CancelledError, KeyboardInterrupt):
                conversation.interrupted()
                raise

        return asyncio.run(interruptible())

    def show_carried(self, carried: "Carried", view: "View", *, export: bool = False) -> ExitCode:
        """What came of a plan; what GitOps keeps goes to standard output as what belongs into git."""
        from actions_gateway.manifests.yamltext import render_documents
        from gw.output.layout import unproven_lines

        for_git = carried.for_git if carried.kept_by or export else []
        if for_git and (export or self.printer.is_for_people):
            self.printer.text(render_documents(for_git))
        else:
            self.printer.show(view)
        for owner in carried.kept_by:
            self.printer.note(f"{owner} keeps this and would undo a change made here; nothing was written.")
        if carried.kept_by and for_git:
            self.printer.note("Next:  Put the fields above into the repository that it watches.")
        self.printer.notes(unproven_lines(carried.plan.unproven))
        return carried.exit_code

    def namespace(self, *given: str | None, everywhere: bool = False) -> str | None:
        """The one tenant that is meant, or None for all; raises Refused when two answers were given."""
        named = {name for name in given if name}
        if len(named) > 1:
            raise Refused(f"two tenants were named: {' and '.join(sorted(named))}", "Name one of them.")
        if everywhere:
            return None
        return named.pop() if named else self.config.namespace

    def one_tenant(self, usage: str, *given: str | None) -> str:
        """The one tenant that is meant; raises Refused, with how to name one, when none or two were named."""
        wanted = self.namespace(*given)
        if wanted is None:
            raise Refused("no tenant was named", f"Name one: `{usage}`; `gw tenant list` shows them.")
        return wanted


def command(
    app: typer.Typer, name: str, *, uses_cluster: bool = True
) -> Callable[[Callable[Concatenate[Invocation, P], ExitCode]], Callable[Concatenate[Invocation, P], ExitCode]]:
    """Registers a function as the command `name` of `app`; its docstring is the help."""

    def register(
        function: Callable[Concatenate[Invocation, P], ExitCode],
    ) -> Callable[Concatenate[Invocation, P], ExitCode]:
        app.command(name)(_as_command(function, _shared_parameters(uses_cluster)))
        return function

    return register


def _shared_parameters(uses_cluster: bool) -> list[inspect.Parameter]:
    annotations: dict[str, tuple[Any, Any]] = {"output": (Output, None), "debug": (Debug, False)}
    if uses_cluster:
        annotations = {"kubeconfig": (Kubeconfig, None), "context": (Context, None)} | annotations
    return [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for key, (annotation, default) in annotations.items()
    ]


def _as_command(function: Callable[..., ExitCode], shared: list[inspect.Parameter]) -> Callable[..., int]:
    own = [
        parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter, annotation in _own_parameters(function)
    ]

    def run(ctx: typer.Context, **options: Any) -> int:
        settings = {parameter.name: options.pop(parameter.name) for parameter in shared}
        surroundings = ctx.find_root().obj
        assert isinstance(surroundings, Surroundings)
        return _settled(function, surroundings, settings, options)

    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *own, *shared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = function.__doc__
    run.__name__ = function.__name__
    return run


def _own_parameters(function: Callable[..., Any]) -> list[tuple[inspect.Parameter, Any]]:
    hints = get_type_hints(function, include_extras=True)
    _, *own = inspect.signature(function).parameters.values()
    return [(parameter, hints[parameter.name]) for parameter in own]


def _settled(
    function: Callable[..., ExitCode], surroundings: Surroundings, settings: dict[str, Any], options: dict[str, Any]
) -> int:
    """Runs the function; an error becomes two sentences and a code, unless --debug wants the trace."""
    from gw.output.printer import Printer

    streams = {"stdin": surroundings.stdin, "stdout": surroundings.stdout, "stderr": surroundings.stderr}
    try:
        config = read_config(os.environ)
        output = settings["output"] or _output_of(config)
        invocation = Invocation(
            printer=Printer(**streams, output=output),
            surroundings=surroundings,
            config=config,
            kubeconfig=settings.get("kubeconfig") or (Path(config.kubeconfig) if config.kubeconfig else None),
            context=settings.get("context") or config.context,
        )
        return int(function(invocation, **options))
    except BrokenPipeError:
        # The reader is gone, as with `gw … | head`: nothing may be flushed to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.INTERRUPTED)
    except GwError as problem:
        if settings["debug"]:
            raise
        Printer(**streams, output=OutputFormat.TABLE).error(problem)
        return int(problem.code)


def _output_of(config: Config) -> OutputFormat:
    if config.output is None:
        return OutputFormat.TABLE
    try:
        return OutputFormat(config.output)
    except ValueError:
        formats = ", ".join(OutputFormat)
        raise Refused(f"the settings file's output {config.output!r} is no format", f"Formats: {formats}.") from None
