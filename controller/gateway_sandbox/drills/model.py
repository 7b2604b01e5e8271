"""What a fault of a whole sandbox is, and what of the sandbox is looked at to tell whether it is in force."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import MANAGER, MANAGER_NAMESPACE, runner_name
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.resources import Resource
from gateway_sandbox.drills.site import Site
from gateway_sandbox.drills.steps import Step
from gateway_sandbox.metricsapi.registration import APISERVICES

METRICS_API = "v1beta1.metrics.k8s.io"

_LISTED = {
    "gateways": r.ACTIONSGATEWAYS,
    "groups": r.RUNNERGROUPS,
    "pods": r.PODS,
    "quotas": r.RESOURCEQUOTAS,
    "autoscalers": r.HPAS,
    "services": r.SERVICES,
    "secrets": r.SECRETS,
    "nodes": r.NODES,
    "definitions": r.CRDS,
}
"""By the snapshot's field."""


class Scope(StrEnum):
    """Whom a fault hits."""

    TENANT = "tenant"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The objects of one tenant's namespace, or of all, and what is there once."""

    namespace: str | None
    gateways: tuple[Manifest, ...]
    groups: tuple[Manifest, ...]
    pods: tuple[Manifest, ...]
    quotas: tuple[Manifest, ...]
    autoscalers: tuple[Manifest, ...]
    services: tuple[Manifest, ...]
    secrets: tuple[Manifest, ...]
    nodes: tuple[Manifest, ...]
    definitions: tuple[Manifest, ...]
    manager: Manifest | None
    metrics_api: Manifest | None
    github: Mapping[str, Any]
    """The simulator's `state`."""
    listening: Mapping[str, bool] = field(default_factory=dict)
    """By monitoring program that is installed: whether it takes connections."""

    @property
    def gateway(self) -> Manifest:
        """The tenant's; a plan for a tenant is made only where there is one."""
        return self.gateways[0]

    def pods_of(self, app: str) -> tuple[Manifest, ...]:
        """Those of one application."""
        return tuple(pod for pod in self.pods if (pod["metadata"].get("labels") or {}).get(labels.APP) == app)

    @property
    def workers(self) -> tuple[Manifest, ...]:
        """The pods of jobs."""
        return tuple(pod for pod in self.pods if labels.RUNNER_GROUP in (pod["metadata"].get("labels") or {}))

    @property
    def ready_tenants(self) -> tuple[str, ...]:
        """The namespaces whose gateway is Ready and speaks of its present spec."""
        return tuple(one["metadata"]["namespace"] for one in self.gateways if is_ready(one))

    @property
    def heard_tenants(self) -> tuple[str, ...]:
        """The namespaces of which every group has a runner that waits at GitHub, or works."""
        heard = [session["runner"] for session in self.github["sessions"] if session["has_open_poll"]]
        silent = {
            one["metadata"]["namespace"]
            for one in self.groups
            if not any(name.startswith(runner_prefix(one)) for name in heard)
        }
        return tuple(
            one["metadata"]["namespace"] for one in self.gateways if one["metadata"]["namespace"] not in silent
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as data: what it does is a plan of steps, made from what is there."""

    name: str
    title: str
    summary: str
    """What happens in the system, and which everyday cause it stands for."""
    scope: Scope
    expects: tuple[tuple[str, str], ...]
    """Checks that name it, with the severity (page, ticket, info) each gives it."""
    plan: Callable[[Snapshot], Sequence[Step]]
    """Raises CannotInject."""
    shows: Callable[[Snapshot], bool]
    """Whether it has taken hold."""
    follows: frozenset[str] = frozenset()
    """Checks that truthfully report a consequence of it beside those."""
    alert: str = ""
    """The alert by which people are told of it first; empty where `gw health` alone says it."""


async def look(site: Site, namespace: str | None) -> Snapshot:
    """The present state; raises KubeError, and what the simulator's client raises."""

    async def everything(resource: Resource) -> tuple[Manifest, ...]:
        return tuple((await site.client.list(resource, namespace if resource.namespaced else None)).items)

    async def one(resource: Resource, name: str, where: str | None = None) -> Manifest | None:
        try:
            return await site.client.get(resource, name, where)
        except NotFound:
            return None

    gathered = await asyncio.gather(*(everything(resource) for resource in _LISTED.values()))
    lists = dict(zip(_LISTED, gathered, strict=True))
    manager, metrics_api, github, listening = await asyncio.gather(
        one(r.DEPLOYMENTS, MANAGER, MANAGER_NAMESPACE),
        one(APISERVICES, METRICS_API),
        site.github.control("GET", "/state"),
        site.listening(),
    )
    return Snapshot(namespace, **lists, manager=manager, metrics_api=metrics_api, github=github, listening=listening)


def runner_prefix(group: Manifest) -> str:
    """How the names of a group's runners begin (`names.runner_name`)."""
    return runner_name(group["metadata"]["name"], group["metadata"]["uid"], "")


def is_ready(gateway: Manifest) -> bool:
    """Whether it is Ready, and its status speaks of its present spec."""
    status = gateway.get("status") or {}
    is_current = status.get("observedGeneration") == gateway["metadata"].get("generation")
    return is_current and has_condition(gateway, "Ready", "True")


def has_condition(manifest: Manifest, kind: str, status: str, *reasons: str) -> bool:
    """Whether it has a condition of that status, for one of these reasons if any are named."""
    conditions = (manifest.get("status") or {}).get("conditions") or []
    found: Manifest = next((one for one in conditions if one["type"] == kind), {})
    return found.get("status") == status and (not reasons or found.get("reason") in reasons)
