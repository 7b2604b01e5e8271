"""What a reconcile reads, and what it decides to write: plain data between gather, decide and apply."""

from collections.abc import Mapping
from dataclasses import dataclass

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.errors import KubeError
from actions_gateway.kube.resources import ACTIONSGATEWAYS, DEPLOYMENTS, NAMESPACES, RUNNERGROUPS, Resource
from actions_gateway.manager.gateway.ownership import is_controlled_by

Key = tuple[str, str]
"""(namespace, name) of a gateway."""

ChildKey = tuple[str, str]
"""(kind, name) of an object in the gateway's namespace."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One gateway and everything around it, as last seen."""

    gateway: Manifest
    namespace: Manifest
    siblings: tuple[Manifest, ...]
    """The other gateways of the namespace."""
    children: Mapping[ChildKey, Manifest]
    """Objects in the namespace that carry the manager's label, whoever owns them."""
    pods: tuple[Manifest, ...] = ()
    """Agent and proxy pods of the namespace by name, cut to their status and the metadata that tells them apart."""
    quotas: tuple[Manifest, ...] = ()
    """The namespace's ResourceQuotas by name, cut to what the API server counted."""

    @property
    def agent(self) -> Manifest | None:
        """The agent's Deployment, when it is this gateway's."""
        return self._deployment(AGENT)

    @property
    def proxy(self) -> Manifest | None:
        """The proxy's Deployment, when it is this gateway's."""
        return self._deployment(PROXY)

    @property
    def runner_groups(self) -> list[Manifest]:
        """This gateway's RunnerGroups, by name."""
        return self.owned(RUNNERGROUPS)

    @property
    def is_marked(self) -> bool:
        """Whether the namespace is a tenant's, where the manager may write."""
        return bool((self.namespace["metadata"].get("labels") or {}).get(labels.TENANT) == labels.TENANT_MARK)

    def pods_of(self, app: str) -> list[Manifest]:
        """The pods of `names.AGENT` or `names.PROXY`."""
        return [pod for pod in self.pods if (pod["metadata"].get("labels") or {}).get(labels.APP) == app]

    def _deployment(self, name: str) -> Manifest | None:
        found = (owned for owned in self.owned(DEPLOYMENTS) if owned["metadata"]["name"] == name)
        return next(found, None)

    def owned(self, resource: Resource) -> list[Manifest]:
        """This gateway's children of one kind, by name."""
        return [
            manifest
            for (kind, _), manifest in sorted(self.children.items())
            if kind == resource.kind and is_controlled_by(manifest, self.gateway)
        ]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a gateway is not served."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class ApplyChild:
    """Brings one child to its desired form."""

    resource: Resource
    manifest: Manifest
    replaces_uid: str | None = None
    """Deleted first, since it differs where nothing can be changed."""
    is_new: bool = False
    """It is not there, as far as the manager's label tells."""
    least_replicas: int = 0
    """Of a Deployment that an autoscaler scales, which leaves one that has fewer than its minimum at zero alone."""
    clears: Manifest | None = None
    """A merge patch that goes before: what others added, which admission may refuse together with whatever we apply."""

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Removes one child that nothing asks for any more."""

    resource: Resource
    name: str
    uid: str
    is_foreground: bool = False
    """It stays until everything is gone that has it as a blocking owner: a Deployment until its last pod."""


@dataclass(frozen=True, slots=True)
class MarkNamespace:
    """Sets the manager's labels: the tenant marker and the Pod Security levels."""

    name: str
    labels: tuple[tuple[str, str], ...]
    """All that the manager sets; one that is missing here is taken away if nobody else set it."""
    is_first: bool
    """The marker is new."""
    resource_version: str
    """Of the namespace whose levels were looked at: a stricter one that somebody sets meanwhile is not replaced."""
    resource: Resource = NAMESPACES


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Keeps the gateway, once it is deleted, until what it has is cleaned up."""

    name: str
    uid: str
    resource: Resource = ACTIONSGATEWAYS


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Lets the gateway go."""

    name: str
    kept: tuple[str, ...]
    """The finalizers of others."""
    resource_version: str
    """At which these are all there are."""
    resource: Resource = ACTIONSGATEWAYS


@dataclass(frozen=True, slots=True)
class SuspendGroup:
    """Stops a group's claims, whatever else its spec says."""

    name: str
    uid: str
    resource: Resource = RUNNERGROUPS


@dataclass(frozen=True, slots=True)
class SetReplicas:
    """Changes how many pods a Deployment has, and nothing else of it."""

    name: str
    uid: str
    replicas: int
    resource: Resource = DEPLOYMENTS


Step = MarkNamespace | ApplyChild | DeleteChild | SetFinalizer | RemoveFinalizer | SuspendGroup | SetReplicas


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning to write as an event beside the plan: before one that takes away what it tells of, else after it."""

    regarding: Manifest
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """How far the deletion of a gateway has come."""

    reason: Reason
    """Of the conditions Deleting and Ready."""
    message: str
    again_after_seconds: float
    """When time alone takes it further."""
    is_over: bool = False
    """Nothing of it is left to report on."""
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write, stage by stage; a stage is worked to its end, the next one only if it succeeded."""

    spec: ActionsGatewaySpec | None
    """None when the gateway is refused."""
    refusal: Refusal | None
    stages: tuple[tuple[Step, ...], ...]
    deletion: Deletion | None = None
    """Of a gateway that is on its way out."""
    notices: tuple[Notice, ...] = ()
    """Of a plan that was carried out."""
    kept_levels: Mapping[str, str] | None = None
    """Stricter Pod Security levels of others by label; None when the namespace was not looked at."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that did not succeed."""

    resource: Resource
    name: str
    error: KubeError

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.name}: {self.error.message.rstrip('.')}"
