"""`gw restart agent` and `gw restart manager`."""

from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import DryRun, Namespace, Tenant, Yes, parse_seconds

Timeout = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long to wait until it is proven to work.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "agent")(agent)
    command(app, "manager")(manager)


def agent(
    invocation: Invocation,
    tenant: Tenant = None,
    namespace: Namespace = None,
    timeout: Timeout = "3m",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> ExitCode:
    """Restart a tenant's agent and prove that it works.

    As `kubectl rollout restart`: running jobs go on in their own pods. Follows the rollout until the pod is a new one,
    waits until every runner group has an open session again, and counts the running jobs that the new agent has
    adopted. Exits with 1 when one of them is not adopted.
    """
    from gw.ops.changes.carrying import Manner
    from gw.ops.restart.agent import RestartedAgent, restart_agent
    from gw.ops.restart.rollout import Restart
    from gw.output.changes import PrintedChanges
    from gw.output.restart import restarted_agent_view

    wanted = invocation.namespace(tenant, namespace)
    if wanted is None:
        raise Refused("no tenant was named", "Name one: `gw restart agent NAME`; `gw tenant list` shows them.")
    order = Restart(parse_seconds(timeout, "--timeout"), Manner(dry_run=dry_run, yes=yes))
    conversation = PrintedChanges(invocation.printer)

    async def operation() -> RestartedAgent:
        async with invocation.cluster() as cluster:
            return await restart_agent(cluster, wanted, order, clock=invocation.clock, conversation=conversation)

    restarted = invocation.run(operation, conversation)
    code = invocation.show_carried(restarted.carried, restarted_agent_view(restarted))
    return code or restarted.exit_code


def manager(
    invocation: Invocation,
    timeout: Timeout = "3m",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> ExitCode:
    """Restart the manager and prove that it works.

    As `kubectl rollout restart`: tenants go on meanwhile. Follows the rollout until every pod is a new one, then waits
    until one of them leads and every gateway's status speaks of its present spec.
    """
    from gw.ops.changes.carrying import Manner
    from gw.ops.restart.manager import RestartedManager, restart_manager
    from gw.ops.restart.rollout import Restart
    from gw.output.changes import PrintedChanges
    from gw.output.restart import restarted_manager_view

    order = Restart(parse_seconds(timeout, "--timeout"), Manner(dry_run=dry_run, yes=yes))
    conversation = PrintedChanges(invocation.printer)

    async def operation() -> RestartedManager:
        async with invocation.cluster() as cluster:
            return await restart_manager(cluster, order, clock=invocation.clock, conversation=conversation)

    restarted = invocation.run(operation, conversation)
    code = invocation.show_carried(restarted.carried, restarted_manager_view(restarted))
    return code or restarted.exit_code
