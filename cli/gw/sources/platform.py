"""The platform's own parts as facts: what the API server serves, the manager's Deployment, its leader lease."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gw.sources.gateways import parse_time

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ServedTypes:
    """What the API server answers about this project's API group."""

    host: str
    plurals: frozenset[str]
    """Served resource types without their subresources; empty when the group is not served."""


@dataclass(frozen=True, slots=True)
class DeploymentFact:
    """How many pods a Deployment wants and has."""

    name: str
    wanted: int
    ready: int
    problem: str = ""
    """The message of the first condition that states a problem."""
    problem_since: datetime | None = None
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkloadFact:
    """A tenant's agent or proxy Deployment, as the manager wrote it: pods may have had their images rewritten."""

    namespace: str
    name: str
    images: tuple[str, ...]
    """Of its containers."""


@dataclass(frozen=True, slots=True)
class LeaseFact:
    """Who leads and until when."""

    holder: str
    renewed_at: datetime | None
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class ManagerFact:
    """The manager; None for what does not exist."""

    deployment: DeploymentFact | None
    lease: LeaseFact | None


def parse_served(host: str, document: Manifest) -> ServedTypes:
    """The types of an APIResourceList."""
    names = (str(entry.get("name") or "") for entry in document.get("resources") or [])
    return ServedTypes(host, frozenset(name for name in names if name and "/" not in name))


def parse_deployment(manifest: Manifest) -> DeploymentFact:
    """The facts of a stored Deployment."""
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    problem: Manifest = next((entry for entry in status.get("conditions") or [] if _states_problem(entry)), {})
    wanted = spec.get("replicas")
    return DeploymentFact(
        name=str((manifest.get("metadata") or {}).get("name") or ""),
        wanted=int(1 if wanted is None else wanted),
        ready=int(status.get("readyReplicas") or 0),
        problem=str(problem.get("message") or ""),
        problem_since=parse_time(problem.get("lastTransitionTime")),
        images=tuple(_images(spec)),
    )


def parse_workload(manifest: Manifest) -> WorkloadFact:
    """The facts of a stored Deployment of a tenant."""
    metadata, spec = manifest.get("metadata") or {}, manifest.get("spec") or {}
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    return WorkloadFact(
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        images=tuple(str(container.get("image") or "") for container in containers),
    )


def _images(spec: Manifest) -> Iterator[str]:
    """The images of the pods' containers, and those that the manager hands on to agents and workers."""
    for container in ((spec.get("template") or {}).get("spec") or {}).get("containers") or []:
        yield str(container.get("image") or "")
        for entry in container.get("env") or []:
            if str(entry.get("name")).endswith("_IMAGE") and entry.get("value"):
                yield str(entry["value"])


def _states_problem(condition: Manifest) -> bool:
    """ReplicaFailure is bad when True, the others when False (Kubernetes API, DeploymentConditionType)."""
    bad_status = "True" if condition.get("type") == "ReplicaFailure" else "False"
    return condition.get("status") == bad_status


def parse_lease(manifest: Manifest) -> LeaseFact:
    """The facts of a stored Lease."""
    spec = manifest.get("spec") or {}
    return LeaseFact(
        holder=str(spec.get("holderIdentity") or ""),
        renewed_at=parse_time(spec.get("renewTime")),
        duration_seconds=float(spec.get("leaseDurationSeconds") or 0),
    )
