"""Installs or upgrades: look, refuse, plan, ask, write, wait. Doing it twice changes nothing the second time."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from actions_gateway.engine.clock import Clock
from gw.errors import Refused
from gw.ops.installation.conversation import Conversation
from gw.ops.installation.guards import refuse_old_server, refuse_unfit
from gw.ops.installation.plan import Action, Plan, decide_plan, gitops_owners
from gw.ops.installation.refusal import doing
from gw.ops.installation.request import InstallRequest
from gw.ops.installation.rollout import wait_until_leading
from gw.ops.installation.snapshot import Identity, Snapshot, gather_snapshot
from gw.ops.installation.wanted import build_wanted, refuse_missing_operators
from gw.ops.installation.writing import rehearse, write
from gw.ops.verification import verify
from gw.sources.cluster import Cluster
from gw.sources.server import gather_addresses, gather_server
from gw.sources.settings import gather_release, gather_settings, with_what_rules_tell, without_earlier_defaults

Manifest = dict[str, Any]

VERIFIED_BY = ("api.crds-served", "api.crds-current", "manager.running", "manager.leading")
"""The checks that an installation passes."""


@dataclass(frozen=True, slots=True)
class Install:
    """How to go about it."""

    request: InstallRequest
    timeout_seconds: float
    dry_run: bool = False
    yes: bool = False
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Installed:
    """What came of it."""

    host: str
    server_version: str
    plan: Plan
    is_dry_run: bool = False
    leader: str | None = None
    """Who leads; None when it was not waited for."""
    kept_by: tuple[str, ...] = ()
    """GitOps controllers that keep the objects: then nothing was written."""
    unnamed_addresses: tuple[str, ...] = ()
    """Where the API server is, as the cluster shows it, when agents may reach any address in its place."""

    @property
    def for_git(self) -> list[Manifest]:
        """What belongs into git when a GitOps controller keeps the objects."""
        steps = self.plan.to_write if self.kept_by else ()
        return [step.manifest for step in steps if step.action is not Action.REMOVE]

    @property
    def out_of_git(self) -> list[Identity]:
        """What has to go from there: this release does not have it any more."""
        steps = self.plan.to_write if self.kept_by else ()
        return [step.identity for step in steps if step.action is Action.REMOVE]


async def install(
    order: Install,
    *,
    open_cluster: Callable[[], AbstractAsyncContextManager[Cluster]],
    clock: Clock,
    conversation: Conversation,
) -> Installed:
    """The installation; raises GwError. Nothing is written before guards, plan and server agree."""
    async with open_cluster() as cluster:
        with doing("ask the API server what it is"):
            server = await gather_server(cluster)
        refuse_old_server(server)
        refuse_missing_operators(order.request, server.groups)
        with doing("read what is installed"):
            installed = await with_what_rules_tell(cluster, await gather_settings(cluster))
            kept = without_earlier_defaults(installed, await gather_release(cluster))
            request = order.request.keeping(kept)
            wanted = build_wanted(request, server.groups)
            snapshot = await gather_snapshot(cluster, server, wanted)
        refuse_unfit(snapshot, wanted)
        plan = decide_plan(wanted, snapshot, *await rehearse(cluster, wanted, snapshot))
        addresses = () if request.api_server_cidrs else await gather_addresses(cluster)
        result = Installed(cluster.host, server.version, plan, unnamed_addresses=addresses)
        if owners := gitops_owners(plan, snapshot):
            kept_by = tuple(f"{owner} keeps {len(objects)} of these objects" for owner, objects in owners.items())
            return replace(result, is_dry_run=order.dry_run, kept_by=kept_by)
        conversation.show_plan(plan)
        if order.dry_run:
            return replace(result, is_dry_run=True)
        await _carry_out(order, cluster, snapshot, result, clock=clock, conversation=conversation)
        if not order.wait:
            return result
        leader = await wait_until_leading(
            cluster, timeout_seconds=order.timeout_seconds, clock=clock, conversation=conversation
        )
        verified = await verify(
            cluster,
            VERIFIED_BY,
            namespace=None,
            timeout_seconds=order.timeout_seconds,
            clock=clock,
            listener=conversation,
        )
        unproven = (*plan.unproven, *verified.unproven)
        return replace(result, leader=leader, plan=replace(plan, unproven=unproven))


async def _carry_out(
    order: Install,
    cluster: Cluster,
    snapshot: Snapshot,
    result: Installed,
    *,
    clock: Clock,
    conversation: Conversation,
) -> None:
    count = len(result.plan.to_write)
    if not count:
        return
    if not order.yes and not conversation.confirm(f"Write these {count} objects to {result.host}?"):
        raise Refused("the plan was not confirmed, and nothing was written", "Run it again once the plan is right.")
    await write(
        cluster,
        result.plan,
        snapshot,
        clock=clock,
        timeout_seconds=order.timeout_seconds,
        conversation=conversation,
    )
