"""Removes an installation, last things last, so that nothing is left without what it needs to end well.

Tenants first, while the manager still runs, or without it where it runs no more; then the manager, and when its pods
are gone its rights and the policies that confined it; then its namespace; the definitions at the very end, since their
deletion deletes every object of their type. A second run finds less, and goes on with it.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from actions_gateway.api.names import MANAGER_LEASE, MANAGER_NAMESPACE
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import GwError, Refused
from gw.ops.blockers import GOES_ON, Blockers, told, until_gone
from gw.ops.installation.conversation import Conversation
from gw.ops.installation.finalizers import ManagerWatch, abandoned, without_finalizer
from gw.ops.installation.guards import is_terminating, refuse_upstream
from gw.ops.installation.plan import Action
from gw.ops.installation.refusal import doing
from gw.ops.installation.remains import Remains
from gw.ops.installation.removal import Removal, gather_removal, refuse_removal, refuse_without_rights
from gw.ops.installation.snapshot import Identity, identity_of
from gw.ops.installation.wanted import resource_for
from gw.ops.verification import verify
from gw.sources.cluster import Cluster
from gw.sources.server import gather_server

Manifest = dict[str, Any]

VERIFIED_BY = ("install.place",)
"""The check that a removal passes: nothing of it hangs, so that the place is free for another installation."""


@dataclass(frozen=True, slots=True)
class Uninstall:
    """How to go about it."""

    timeout_seconds: float
    remove_tenants: bool = False
    keep_crds: bool = False
    dry_run: bool = False
    yes: bool = False
    confirm: str | None = None
    """The cluster's name, typed beforehand."""


@dataclass(frozen=True, slots=True)
class Uninstalled:
    """What came of it."""

    host: str
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    unproven: tuple[str, ...] = ()
    """What the check of its end could not see."""
    is_dry_run: bool = False


def cluster_name(host: str) -> str:
    """What one types to say which cluster is meant: its address without the scheme."""
    return host.partition("://")[2] or host


async def uninstall(
    order: Uninstall,
    *,
    open_cluster: Callable[[], AbstractAsyncContextManager[Cluster]],
    clock: Clock,
    conversation: Conversation,
) -> Uninstalled:
    """What was removed; raises GwError. Nothing is removed before it was shown and confirmed by the cluster's name."""
    async with open_cluster() as cluster:
        _refuse_wrong_name(order, cluster_name(cluster.host))
        with doing("read what is installed"):
            server = await gather_server(cluster)
            removal = await gather_removal(cluster, server)
        refuse_upstream(removal.snapshot)
        refuse_removal(removal, remove_tenants=order.remove_tenants)
        with doing("ask for your rights"):
            await refuse_without_rights(cluster, removal, keep_crds=order.keep_crds)
        result = Uninstalled(
            cluster.host,
            tuple(removal.removed(keep_crds=order.keep_crds)),
            tuple(removal.kept(keep_crds=order.keep_crds)),
            is_dry_run=order.dry_run,
        )
        if result.removed:
            conversation.show_removal(cluster.host, result.removed, result.kept)
        if order.dry_run:
            return result
        if result.removed:
            _confirm(order, removal, cluster_name(cluster.host), conversation)
            remover = _Remover(cluster, clock, conversation, order.timeout_seconds)
            await remover.remove(removal, keep_crds=order.keep_crds)
        verified = await verify(
            cluster,
            VERIFIED_BY,
            namespace=None,
            timeout_seconds=order.timeout_seconds,
            clock=clock,
            listener=conversation,
        )
        return replace(result, unproven=verified.unproven)


def _refuse_wrong_name(order: Uninstall, name: str) -> None:
    if order.confirm is not None and order.confirm != name:
        raise Refused(
            f"--confirm says {order.confirm}, and this cluster is {name}",
            "Name the cluster that is meant with --context, or correct --confirm.",
        )
    if order.yes and order.confirm is None and not order.dry_run:
        raise Refused(
            "this removes a whole installation, and --yes alone does not say of which cluster",
            f"Add --confirm {name} if that is the one.",
        )


def _confirm(order: Uninstall, removal: Removal, name: str, conversation: Conversation) -> None:
    if order.yes and order.confirm == name:
        return
    jobs = f" {removal.running_jobs} jobs are cut off." if removal.running_jobs else ""
    if not conversation.confirm_by_name(
        f"This cannot be undone.{jobs} Type the cluster's name, {name}, to go on:", name
    ):
        raise Refused("the cluster's name was not typed, and nothing was removed", "Run it again once it is right.")


class _Remover:
    """One removal with its deadline."""

    def __init__(self, cluster: Cluster, clock: Clock, conversation: Conversation, timeout_seconds: float) -> None:
        self._cluster = cluster
        self._remains = Remains(cluster)
        self._clock = clock
        self._conversation = conversation
        self._timeout_seconds = timeout_seconds
        self._deadline = clock.monotonic() + timeout_seconds
        self._done: list[Identity] = []

    async def remove(self, removal: Removal, *, keep_crds: bool) -> None:
        """Raises GwError, which names what is gone already."""
        try:
            await self._remove(removal, keep_crds=keep_crds)
        except GwError as problem:
            if self._done:
                problem.details = (*problem.details, f"Removed before it: {', '.join(map(str, self._done))}.")
                if GOES_ON not in problem.next_step:
                    problem.next_step = f"{problem.next_step} Then {GOES_ON}"
            raise

    async def _remove(self, removal: Removal, *, keep_crds: bool) -> None:
        await self._remove_tenants(removal)
        for manifest in removal.objects:
            await self._delete(resource_for(manifest), manifest)
            if manifest["kind"] == r.DEPLOYMENTS.kind:
                await self._until_gone("the manager's pods have ended", self._manager_pods)
        if removal.namespace is not None:
            await self._remove_namespace(removal, removal.namespace)
        if not keep_crds:
            await self._remove_definitions(removal)

    async def _remove_tenants(self, removal: Removal) -> None:
        """Groups go after their gateways, so that a manager that runs takes a gateway down in its order."""
        if not removal.gateways and not removal.groups:
            return
        for gateway in removal.gateways:
            if gateway.deleted_at is not None:
                continue
            with doing(f"delete the ActionsGateway {gateway.namespace}/{gateway.name}"):
                await self._forget(r.ACTIONSGATEWAYS, gateway.name, gateway.namespace)
            self._did(Identity(r.ACTIONSGATEWAYS.kind, gateway.name, gateway.namespace))
        await self._until_gone("every tenant's gateway has ended", self._gateways_in(removal))
        for group in await self._remains.groups():
            if not group["metadata"].get("deletionTimestamp"):
                await self._delete(r.RUNNERGROUPS, group)
        await self._until_gone("every tenant's pods have ended", self._remains.tenants)

    def _gateways_in(self, removal: Removal) -> Blockers:
        """The gateways that are left; those that nobody takes down any more are released on the way."""
        watch = ManagerWatch(is_installed=any(each["kind"] == r.DEPLOYMENTS.kind for each in removal.objects))

        async def look() -> list[str]:
            gateways = await self._remains.gateways()
            watch.saw(await self._remains.manager_pods(), self._clock.monotonic())
            for gateway in abandoned(
                gateways, is_managed=watch.is_running(self._clock.monotonic()), now=self._clock.now()
            ):
                await self._release(gateway)
            return [told(gateway) for gateway in gateways]

        return look

    async def _release(self, gateway: Manifest) -> None:
        name, namespace = str(gateway["metadata"]["name"]), str(gateway["metadata"]["namespace"])
        with (
            doing(f"release the ActionsGateway {namespace}/{name}"),
            contextlib.suppress(errors.NotFound, errors.Conflict),
        ):
            await self._cluster.patch(r.ACTIONSGATEWAYS, name, without_finalizer(gateway), namespace=namespace)
            self._conversation.released(Identity(r.ACTIONSGATEWAYS.kind, name, namespace))

    async def _remove_namespace(self, removal: Removal, namespace: Manifest) -> None:
        if not removal.removes_namespace:
            with doing(f"delete the Lease {MANAGER_LEASE}"):
                await self._forget(r.LEASES, MANAGER_LEASE, MANAGER_NAMESPACE)
            return
        if not is_terminating(namespace):
            await self._delete(r.NAMESPACES, namespace)
        await self._until_gone(
            f"the namespace {MANAGER_NAMESPACE} is gone", partial(self._remains.single, r.NAMESPACES, MANAGER_NAMESPACE)
        )

    async def _remove_definitions(self, removal: Removal) -> None:
        """Looks again first: whoever made a gateway meanwhile would lose it with its definition."""
        left = await self._remains.tenants() if removal.definitions else ()
        if left:
            raise Refused(
                f"{left[0]} has appeared meanwhile, so the custom resource definitions stay",
                f"Look whose it is, then {GOES_ON}",
            )
        for manifest in removal.definitions:
            await self._delete(r.CRDS, manifest)
        for manifest in removal.definitions:
            name = str(manifest["metadata"]["name"])
            await self._until_gone(f"the definition {name} is gone", partial(self._remains.single, r.CRDS, name))

    async def _delete(self, resource: r.Resource, manifest: Manifest) -> None:
        metadata, identity = manifest["metadata"], identity_of(manifest)
        with doing(f"delete the {identity}"):
            await self._forget(resource, identity.name, identity.namespace or None, metadata.get("uid"))
        self._did(identity)

    def _did(self, identity: Identity) -> None:
        self._done.append(identity)
        self._conversation.did(Action.REMOVE, identity)

    async def _forget(
        self, resource: r.Resource, name: str, namespace: str | None = None, uid: str | None = None
    ) -> None:
        try:
            await self._cluster.delete(resource, name, namespace=namespace, uid=uid)
        except errors.NotFound:
            return

    # -- what is still there

    async def _until_gone(self, what: str, blockers: Blockers) -> None:
        await until_gone(
            what,
            blockers,
            deadline=self._deadline,
            timeout_seconds=self._timeout_seconds,
            clock=self._clock,
            listener=self._conversation,
        )

    async def _manager_pods(self) -> list[str]:
        return [told(pod) for pod in await self._remains.manager_pods()]
