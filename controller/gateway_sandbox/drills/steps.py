"""What faults are made of: single changes as data, each with the change that takes it back.

A way back is a step itself, so that it can be kept as JSON and walked by another process. It may be walked again, and
after a change that was never made: what is there already, or gone already, is as it should be.
"""

import asyncio
import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from actions_gateway.api import labels
from actions_gateway.api.names import runner_group_name
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.errors import AlreadyExists, Conflict, NotFound
from actions_gateway.kube.resources import Resource, resource_of
from gateway_sandbox.drills.site import CannotInject, Site
from gateway_sandbox.metricsapi.registration import APISERVICES

_LOOK = "sandbox.actions-gateway.github.com/look"
_LOOK_SECONDS = 0.25
_TAKEN_UP_SECONDS = 30.0
_SET_BY_SERVER = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "deletionTimestamp", "selfLink"}
    | {"deletionGracePeriodSeconds", "finalizers", "ownerReferences"}
)
"""Metadata that an author does not write; finalizers and owners come back from those who set them."""


@dataclass(frozen=True, slots=True)
class Target:
    """One object."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None

    @property
    def resource(self) -> Resource:
        """Raises KeyError for a kind that drills do not touch."""
        if (self.api_version, self.kind) == (APISERVICES.api_version, APISERVICES.kind):
            return APISERVICES
        if (found := resource_of(self.api_version, self.kind)) is None:
            raise KeyError(f"{self.api_version} {self.kind}")
        return found

    @classmethod
    def of(cls, resource: Resource, name: str, namespace: str | None = None) -> "Target":
        return cls(resource.api_version, resource.kind, name, namespace)


@dataclass(frozen=True, slots=True)
class Changes:
    """The fields of one object, as paths; the empty path is the whole of it."""

    target: Target
    paths: tuple[tuple[str, ...], ...] = ((),)

    def touches(self, other: "Changes") -> bool:
        """Whether one restores what the other changes, in whichever order they are taken back."""
        pairs = [(mine, its) for mine in self.paths for its in other.paths]
        return self.target == other.target and any(a[: len(b)] == b or b[: len(a)] == a for a, b in pairs)


class Step(ABC):
    """One change. `way_back` is asked before `act`, since afterwards what was there is gone."""

    @property
    def changes(self) -> "Changes | None":
        """What of which object it changes; None for a step that changes none of its own."""
        return None

    async def way_back(self, site: Site) -> "Step | None":
        """What restores the present state; None for a change that needs none. Raises CannotInject, KubeError."""
        return None

    @abstractmethod
    async def act(self, site: Site) -> None:
        """Makes the change. Raises KubeError."""

    async def settle(self, site: Site) -> bool:
        """Goes on with what takes a while; whether nothing is left to do. Raises KubeError."""
        return True


@dataclass(frozen=True, slots=True)
class Patch(Step):
    """A merge patch (RFC 7386)."""

    target: Target
    patch: Manifest
    subresource: str | None = None

    @property
    def changes(self) -> Changes | None:
        return Changes(self.target, tuple(_paths(self.patch)))

    async def way_back(self, site: Site) -> Step | None:
        before = await site.client.get(self.target.resource, self.target.name, self.target.namespace)
        return Patch(self.target, inverse(self.patch, before), self.subresource)

    async def act(self, site: Site) -> None:
        target = self.target
        try:
            await site.client.patch(
                target.resource,
                target.name,
                self.patch,
                namespace=target.namespace,
                subresource=self.subresource,
            )
        except NotFound:
            return


@dataclass(frozen=True, slots=True)
class Create(Step):
    """A new object; as a way back it waits for one of its name that is being deleted, and leaves one that is there."""

    manifest: Manifest

    @property
    def target(self) -> Target:
        metadata = self.manifest["metadata"]
        return Target(self.manifest["apiVersion"], self.manifest["kind"], metadata["name"], metadata.get("namespace"))

    @property
    def changes(self) -> Changes | None:
        return Changes(self.target)

    async def way_back(self, site: Site) -> Step | None:
        target = self.target
        try:
            await site.client.get(target.resource, target.name, target.namespace)
        except NotFound:
            return Delete(target)
        # To delete it would take away what somebody else has made.
        raise CannotInject(
            f"{target.kind} {target.namespace}/{target.name} is there already", "Rename it, or delete it, first."
        )

    async def act(self, site: Site) -> None:
        await self.settle(site)

    async def settle(self, site: Site) -> bool:
        target = self.target
        try:
            await site.client.create(target.resource, self.manifest, namespace=target.namespace)
        except (AlreadyExists, Conflict):
            return not await _is_leaving(site, target)
        return True


@dataclass(frozen=True, slots=True)
class Delete(Step):
    """The end of an object; comes back as it was, but for what the server sets."""

    target: Target

    @property
    def changes(self) -> Changes | None:
        return Changes(self.target)

    async def way_back(self, site: Site) -> Step | None:
        before = await site.client.get(self.target.resource, self.target.name, self.target.namespace)
        return Create(recreatable(before))

    async def act(self, site: Site) -> None:
        try:
            await site.client.delete(self.target.resource, self.target.name, namespace=self.target.namespace)
        except NotFound:
            return


@dataclass(frozen=True, slots=True)
class DeletePods(Step):
    """Pods of one application go, as when their node is drained; whoever made them makes others."""

    app: str
    namespace: str | None = None
    """None for every namespace."""

    async def act(self, site: Site) -> None:
        pods = await site.client.list(r.PODS, self.namespace, label_selector=f"{labels.APP}={self.app}")
        names = [(pod["metadata"]["name"], pod["metadata"]["namespace"]) for pod in pods.items]
        await asyncio.gather(*(Delete(Target.of(r.PODS, name, namespace)).act(site) for name, namespace in names))


@dataclass(frozen=True, slots=True)
class Refill(Step):
    """ReplicaSets of one application get the pods that they lack at once.

    Their controller doubles its pause with every refusal, up to 1,000 s, and looks sooner at one that changes
    (kubernetes pkg/controller/replicaset, client-go's default rate limiter).
    """

    app: str
    namespace: str

    async def act(self, site: Site) -> None:
        return None

    async def settle(self, site: Site) -> bool:
        selector = f"{labels.APP}={self.app}"
        found = (await site.client.list(r.REPLICASETS, self.namespace, label_selector=selector)).items
        lacking = [one for one in found if (one.get("status") or {}).get("replicas", 0) < one["spec"]["replicas"]]
        for one in lacking:
            for value in ("now", None):
                patch = {"metadata": {"annotations": {_LOOK: value}}}
                await Patch(Target.of(r.REPLICASETS, one["metadata"]["name"], self.namespace), patch).act(site)
        return not lacking


@dataclass(frozen=True, slots=True)
class Afterwards(Step):
    """Nothing now, and a step of the way back: the last one, where this is the first."""

    step: Step

    async def way_back(self, site: Site) -> Step | None:
        return self.step

    async def act(self, site: Site) -> None:
        return None


@dataclass(frozen=True, slots=True)
class AwaitGroups(Step):
    """Nothing but a wait: until the agent has taken up what the gateway says of its groups now, or for half a minute.

    A job that starts before would get a pod of the settings of before.
    """

    gateway: Target
    key: str
    """Of a group's spec."""

    async def act(self, site: Site) -> None:
        deadline = site.clock.monotonic() + _TAKEN_UP_SECONDS
        while not await self._is_taken_up(site) and site.clock.monotonic() < deadline:
            await site.clock.sleep(_LOOK_SECONDS)

    async def _is_taken_up(self, site: Site) -> bool:
        gateway = await site.client.get(r.ACTIONSGATEWAYS, self.gateway.name, self.gateway.namespace)
        wanted = {
            runner_group_name(self.gateway.name, entry["name"]): entry.get(self.key)
            for entry in gateway["spec"]["runnerGroups"]
        }
        groups = (await site.client.list(r.RUNNERGROUPS, self.gateway.namespace)).items
        return {group["metadata"]["name"]: group["spec"].get(self.key) for group in groups} == wanted and all(
            (group.get("status") or {}).get("observedGeneration") == group["metadata"]["generation"] for group in groups
        )


async def _is_leaving(site: Site, target: Target) -> bool:
    try:
        found = await site.client.get(target.resource, target.name, target.namespace)
    except NotFound:
        return True
    return bool(found["metadata"].get("deletionTimestamp"))


# -- pure ------------------------------------------------------------------------------------------------------------


def inverse(patch: Manifest, before: Manifest) -> Manifest:
    """The merge patch that restores what `patch` changes of `before`.

    Field by field also where `before` has no such object, which leaves an empty one: what another fault adds beside it
    is not this one's to take away.
    """
    result: Manifest = {}
    for key, value in patch.items():
        was = before.get(key)
        if isinstance(value, dict) and isinstance(was, dict | None):
            result[key] = inverse(value, was or {})
        else:
            # None takes away what was not there.
            result[key] = copy.deepcopy(was)
    return result


def _paths(patch: Manifest, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in patch.items():
        if isinstance(value, dict) and value:
            yield from _paths(value, (*above, key))
        else:
            yield (*above, key)


def recreatable(manifest: Manifest) -> Manifest:
    """The object as its author would write it: without status, and without what the server sets."""
    kept = copy.deepcopy({key: value for key, value in manifest.items() if key != "status"})
    metadata = kept["metadata"]
    kept["metadata"] = {key: value for key, value in metadata.items() if key not in _SET_BY_SERVER}
    return kept
