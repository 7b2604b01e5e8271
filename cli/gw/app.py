"""The root command: registers the others, nothing else. Importing it costs typer and no more."""

from typing import Annotated

import typer

from gw.commands import (
    alerts,
    alerts_silence,
    check,
    completion,
    dashboards,
    events,
    handoff,
    health,
    incident,
    incident_record,
    install,
    job,
    key,
    logs,
    quota,
    restart,
    runbook,
    runner_group,
    sandbox,
    sandbox_fault,
    sandbox_notifications,
    sandbox_run,
    support_bundle,
    tenant,
    tenant_add,
    tenant_remove,
    tenant_update,
    uninstall,
    version,
)

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
EPILOG = (
    "Exit codes: 0 fine, 1 problem found, 2 wrong usage or refused, 3 could not find out, 4 credentials, 5 timed out, "
    "130 interrupted."
)

# Plain help: the rich one costs a tenth of a second at every start.
app = typer.Typer(
    name="gw",
    help="Actions Gateway: self-hosted GitHub Actions jobs for many teams on one Kubernetes cluster.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT_SETTINGS,
)


def _group(name: str, text: str, parent: typer.Typer = app) -> typer.Typer:
    group = typer.Typer(
        help=text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=CONTEXT_SETTINGS,
    )
    parent.add_typer(group, name=name)
    return group


def _show_version(wanted: bool) -> None:
    if wanted:
        from actions_gateway import __version__

        typer.echo(f"gw {__version__}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show gw's version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Actions Gateway: self-hosted GitHub Actions jobs for many teams on one Kubernetes cluster."""


install.register(app)
uninstall.register(app)
check.register(app)
health.register(app)
handoff.register(app)
tenants = _group("tenant", "Tenants: add, list, look at, update, pause and remove them.")
tenant_add.register(tenants)
tenant.register(tenants)
tenant_update.register(tenants)
tenant_remove.register(tenants)
runner_group.register(_group("runner-group", "Runner groups: what listens for jobs, with which labels."))
restart.register(_group("restart", "Restarts of agents and the manager, proven to work."))
quota.register(_group("quota", "Quotas: what is used, what binds, and how to adjust it."))
logs.register(app)
events.register(app)
support_bundle.register(app)
job.register(_group("job", "Jobs: what runs, waits and was lost; have lost ones rerun."))
key.register(_group("key", "Keys of GitHub Apps: see those in use, prove one, rotate one."))
alerting = _group("alerts", "Alerts: what ships, what is loaded, what fires, who is told.")
alerts.register(alerting)
alerts_silence.register(_group("silence", "Silences: add, list and end them.", alerting))
dashboards.register(_group("dashboards", "Dashboards: what ships, and whether Grafana still gets that."))
runbook.register(_group("runbook", "Runbook pages: find one, read it, run its steps."))
incidents = _group("incident", "Incidents: procedures step by step, with a lasting record.")
incident.register(incidents)
incident_record.register(incidents)
sandboxes = _group("sandbox", "A cluster and a GitHub on this machine, to try and to test.")
sandbox.register(sandboxes)
sandbox_run.register(sandboxes)
sandbox_fault.register(sandboxes)
sandbox_notifications.register(sandboxes)
completion.register(app)
version.register(app)
