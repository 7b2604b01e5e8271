"""Adds a tenant: prove, plan, ask, write, wait. Doing it twice changes nothing the second time."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from actions_gateway.engine.clock import Clock
from gw.errors import Refused
from gw.ops.changes.carrying import Carried, Manner, carry_out
from gw.ops.changes.conversation import Conversation
from gw.ops.keys.credentials import prove_key
from gw.ops.onboarding.plan import decide_plan
from gw.ops.onboarding.request import TenantRequest
from gw.ops.onboarding.snapshot import gather_snapshot
from gw.ops.onboarding.waiting import wait_until_working
from gw.ops.tenants import TenantSummary
from gw.ops.verification import verify
from gw.sources.cluster import Cluster
from gw.sources.installation import Installation, InstallationQuery

FIELD_MANAGER = "gw-tenant-add"
VERIFIED_BY = ("gateway.ready", "agent.available", "credential.available", "session.open", "gateway.proxy")
"""The checks that a new tenant passes."""


@dataclass(frozen=True, slots=True)
class AddTenant:
    """How to go about it."""

    request: TenantRequest
    timeout_seconds: float
    manner: Manner = field(default_factory=Manner)
    skip_github_check: bool = False


@dataclass(frozen=True, slots=True)
class AddedTenant:
    """What came of it. `tenant` is None after a dry run."""

    carried: Carried
    installation: Installation | None
    tenant: TenantSummary | None


async def add_tenant(
    order: AddTenant,
    *,
    open_cluster: Callable[[], AbstractAsyncContextManager[Cluster]],
    look_up: Callable[[InstallationQuery], Awaitable[Installation]],
    clock: Clock,
    conversation: Conversation,
) -> AddedTenant:
    """The working tenant; raises GwError. Nothing is written before GitHub, the plan and the server agree."""
    request = order.request
    installation = await _prove(order, look_up, conversation)
    async with open_cluster() as cluster:
        plan = decide_plan(request, await gather_snapshot(cluster, request))
        plan = replace(plan, unproven=(*_skipped(order), *plan.unproven))
        carried = await carry_out(
            cluster,
            plan,
            order.manner,
            conversation=conversation,
            field_manager=FIELD_MANAGER,
            question=f"Write these {len(plan.to_write)} objects?",
        )
        if order.manner.dry_run:
            return AddedTenant(carried, installation, None)
        tenant = await wait_until_working(
            cluster,
            request.namespace,
            request.gateway_name,
            timeout_seconds=order.timeout_seconds,
            clock=clock,
            conversation=conversation,
        )
        verified = await verify(
            cluster,
            VERIFIED_BY,
            namespace=request.namespace,
            timeout_seconds=order.timeout_seconds,
            clock=clock,
            listener=conversation,
        )
    return AddedTenant(carried.with_unproven(verified.unproven), installation, tenant)


async def _prove(
    order: AddTenant, look_up: Callable[[InstallationQuery], Awaitable[Installation]], conversation: Conversation
) -> Installation | None:
    request = order.request
    if request.credentials is None:
        raise Refused("no private key file was named", "Add --private-key-file FILE with the App's private key.")
    if order.skip_github_check:
        return None
    query = InstallationQuery(request.github_url, request.credentials, request.ca_bundle_file)
    return await prove_key(query, look_up, conversation)


def _skipped(order: AddTenant) -> tuple[str, ...]:
    if not order.skip_github_check:
        return ()
    return ("that GitHub accepts the key, knows the installation and grants it the permissions",)
