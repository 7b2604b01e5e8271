"""`gw runbook list`, `show`, `search` and `run`."""

from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import Confirm, DryRun, Yes


def _page_names(beginning: str) -> list[str]:
    from gw.ops.runbook.library import read_library

    return [page.name for page in read_library() if page.name.startswith(beginning)]


PageName = Annotated[
    str,
    typer.Argument(
        metavar="PAGE", help="A page's name, or the alert or check that it is about.", autocompletion=_page_names
    ),
]
SectionName = Annotated[
    str | None, typer.Option("--section", metavar="TITLE", help="One section, by the beginning of its title.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "list", uses_cluster=False)(list_)
    command(app, "show", uses_cluster=False)(show)
    command(app, "search", uses_cluster=False)(search)
    command(app, "run")(run)


def list_(
    invocation: Invocation,
    everything: Annotated[bool, typer.Option("--all", help="Pages of checks and alerts, too.")] = False,
) -> ExitCode:
    """List the runbook's procedures.

    They come with gw: no cluster is asked.
    """
    from gw.ops.runbook.library import read_library
    from gw.ops.runbook.model import Kind
    from gw.output.runbook import page_list_view

    pages = read_library()
    shown = [page for page in pages if everything or page.kind in (Kind.PROCEDURE, Kind.REFERENCE)]
    invocation.printer.show(page_list_view(shown, len(pages) - len(shown)))
    return ExitCode.OK


def show(invocation: Invocation, page: PageName, section: SectionName = None) -> ExitCode:
    """Show a page, or one section of it.

    As Markdown; with -o json also its steps with what they need and check.
    """
    from gw.ops.runbook.library import find_page, find_section, read_library
    from gw.output.runbook import page_view

    found = find_page(read_library(), page)
    invocation.printer.show(page_view(found, None if section is None else find_section(found, section)))
    return ExitCode.OK


def search(
    invocation: Invocation,
    words: Annotated[list[str], typer.Argument(metavar="WORD…", help="What you see, in words.")],
) -> ExitCode:
    """Find pages by what you see.

    A page is found when it has every word; those that have them in title or symptoms come first.
    """
    from gw.ops.runbook.finding import search as find
    from gw.ops.runbook.library import read_library
    from gw.output.runbook import search_view

    invocation.printer.show(search_view(words, find(read_library(), words)))
    return ExitCode.OK


def run(
    invocation: Invocation,
    page: PageName,
    section: SectionName = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PLACE=VALUE", help="What stands in a place of its commands. May be repeated."),
    ] = None,
    from_step: Annotated[
        int, typer.Option("--from", metavar="STEP", min=1, help="Begin with this step of the page.")
    ] = 1,
    done: Annotated[
        list[int] | None, typer.Option("--done", metavar="STEP", help="A person's step that is done. May be repeated.")
    ] = None,
    yes: Yes = False,
    confirm: Confirm = None,
    dry_run: DryRun = False,
) -> ExitCode:
    """Run a page's steps, one by one.

    Shows the plan, asks, and before and after each step looks whether what has to hold does. Stops at the first
    failure with the command that goes on there. Exits with 1 when a step fails, 2 when one was not begun or waits for a
    person, 3 when something could not be found out, 4 when the credentials are not accepted, 5 when something did not
    come to hold in time.
    """
    import sys

    from gw.ops.runbook.library import find_page, read_library
    from gw.ops.runbook.places import parse_values
    from gw.ops.runbook.plan import RunOrder
    from gw.ops.runbook.running import run_page
    from gw.ops.runbook.shell import ShellTarget
    from gw.output.runbook import PrintedRun, run_view, stop_lines

    order = RunOrder(
        page=find_page(read_library(), page),
        values=parse_values(values or []),
        section=section,
        from_step=from_step,
        done=frozenset(done or []),
        yes=yes,
        dry_run=dry_run,
        confirm=confirm,
    )
    named = {"--kubeconfig": invocation.kubeconfig, "--context": invocation.context}
    options = [word for option, value in named.items() if value is not None for word in (option, str(value))]
    # Standard output holds one document when a program reads it.
    output = None if invocation.printer.is_for_people else sys.stderr
    shell = invocation.surroundings.open_shell(ShellTarget(invocation.kubeconfig, invocation.context, output))
    result = run_page(order, shell, PrintedRun(invocation.printer, order, options))
    invocation.printer.show(run_view(result))
    invocation.printer.notes(stop_lines(result, order, options))
    return result.exit_code
