"""What a removal still finds, object by object."""

from typing import Any

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.ops.blockers import told
from gw.ops.installation.refusal import doing
from gw.sources.cluster import Cluster
from gw.sources.gathering import gather_pods

Manifest = dict[str, Any]


class Remains:
    """Looks that name what they find; each raises GwError."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def gateways(self) -> list[Manifest]:
        """The ActionsGateways as they are stored."""
        with doing("watch the tenants end"):
            return await self._listed(r.ACTIONSGATEWAYS)

    async def groups(self) -> list[Manifest]:
        """The RunnerGroups as they are stored."""
        with doing("watch the tenants end"):
            return await self._listed(r.RUNNERGROUPS)

    async def tenants(self) -> list[str]:
        """Gateways and groups; without any, the pods that are left of them."""
        found = [told(item) for item in [*await self.gateways(), *await self.groups()]]
        if not found:
            with doing("watch the tenants end"):
                found = [f"Pod {pod.namespace}/{pod.name}" for pod in await gather_pods(self._cluster, None)]
        return found

    async def manager_pods(self) -> list[Manifest]:
        """The manager's pods as they are stored."""
        selector = ",".join(f"{key}={value}" for key, value in SELECTOR.items())
        with doing("watch the manager end"):
            return await self._listed(r.PODS, MANAGER_NAMESPACE, selector)

    async def single(self, resource: r.Resource, name: str) -> list[str]:
        """One object without a namespace."""
        with doing(f"watch the {resource.kind} {name} end"):
            try:
                return [told(await self._cluster.get(resource, name))]
            except errors.NotFound:
                return []

    async def _listed(
        self, resource: r.Resource, namespace: str | None = None, selector: str | None = None
    ) -> list[Manifest]:
        try:
            return (await self._cluster.list(resource, namespace, label_selector=selector)).items
        except errors.NotFound:
            return []
