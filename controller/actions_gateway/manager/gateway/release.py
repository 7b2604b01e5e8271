"""Whether a tenant's Deployments get the manager's newest release now, or keep what they have until their turn.

A release is whatever this manager makes of a Deployment beside the tenant's own wishes: images, arguments, settings.
Each Deployment says in annotations which release it has, of which wishes it was made, and, when it was brought there
from another one, how it was before. So nothing has to be remembered, and a new leader knows.

A tenant that waits and asks for something else is not held back: it gets what it asks for with the images that it
has. The newest would be one rollout less, but while a release is stopped its images are known to be bad.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.gateway import ActionsGatewaySpec, parse_gateway_spec
from actions_gateway.api.names import AGENT, AGENT_CONTAINER, PROXY, PROXY_CONTAINER
from actions_gateway.kube.client import Manifest
from actions_gateway.manager.gateway.agent_deployment import build_agent_deployment
from actions_gateway.manager.gateway.proxy_deployment import build_proxy_deployment
from actions_gateway.manager.gateway.snapshot import Snapshot
from actions_gateway.manager.gateway.verdict.lifecycle import is_contained
from actions_gateway.settings import ManagerSettings

_NOT_OF_DEPLOYMENTS = ("runnerGroups", "paused")
"""Fields of a gateway's spec that change no Deployment."""

_NOBODY = {"name": "any", "namespace": "any", "uid": "any"}
_NOBODYS_SPEC = {"gitHubAppRef": {"name": "any"}, "gitHubURL": "https://github.com/any"}


class Standing(StrEnum):
    """Where a tenant is in the rollout of the newest release."""

    DONE = "done"
    """It has it: since its creation, or it became available with it."""
    IN_FLIGHT = "in flight"
    """It was brought there and has not become available: it keeps its place."""
    STUCK = "stuck"
    """The same, and Kubernetes has given it up."""
    HANGING = "hanging"
    """It waits with an earlier release that never became available: it goes first."""
    WAITING = "waiting"


def build_deployments(gateway: Manifest, spec: ActionsGatewaySpec, settings: ManagerSettings) -> tuple[Manifest, ...]:
    """Proxy and agent with the annotations of their release. Raises ValueError that names what is unusable."""
    releases = releases_of(settings)
    return tuple(
        _annotated(made, {labels.RELEASE: releases[made["metadata"]["name"]], labels.RELEASED_FOR: _wishes(gateway)})
        for made in _build(gateway, spec, settings)
    )


@functools.lru_cache(maxsize=8)
def releases_of(settings: ManagerSettings) -> Mapping[str, str]:
    """By Deployment a digest of what these settings, and this code, make of a tenant without wishes."""
    made = _build({"metadata": _NOBODY}, parse_gateway_spec("any", _NOBODYS_SPEC), settings)
    return {str(manifest["metadata"]["name"]): _digest(manifest["spec"]) for manifest in made}


def settings_for(snapshot: Snapshot, settings: ManagerSettings, *, may_roll: bool) -> ManagerSettings:
    """The settings with the images that this tenant gets now: the newest, or those it has while it waits."""
    if may_roll:
        return settings
    agent, proxy = snapshot.agent, snapshot.proxy
    images: dict[str, str] = {}
    if agent is not None and _waits(agent, settings):
        variables = {entry["name"]: entry.get("value") for entry in _container(agent).get("env") or []}
        images["controller_image"] = str(_container(agent).get("image") or settings.controller_image)
        images["worker_image"] = variables.get("WORKER_IMAGE") or settings.worker_image
    if proxy is not None and _waits(proxy, settings):
        images["proxy_image"] = str(_container(proxy).get("image") or settings.proxy_image)
    return replace(settings, **images) if images else settings  # type: ignore[arg-type]


def is_held(desired: Manifest, live: Manifest, settings: ManagerSettings, *, may_roll: bool) -> bool:
    """Whether a Deployment stays as it is: its turn has not come, and its tenant asks for nothing else."""
    if may_roll or not _waits(live, settings):
        return False
    made_of = _annotation(live, labels.RELEASED_FOR)
    return made_of is None or made_of == _annotation(desired, labels.RELEASED_FOR)


def carried(desired: Manifest, live: Manifest) -> Manifest:
    """The desired Deployment with the note of how it was before its release was brought to it.

    The note goes once every pod was available: the release has proven itself, and what comes later says nothing of it.
    """
    before, is_well = _annotation(live, labels.ROLLED_WHILE), is_complete(live)
    if _annotation(desired, labels.RELEASE) != _annotation(live, labels.RELEASE):
        # One that hangs with an earlier release was well before that.
        before = labels.AVAILABLE if is_well or before == labels.AVAILABLE else labels.UNAVAILABLE
    elif is_well:
        before = None
    return _annotated(desired, {labels.ROLLED_WHILE: before}) if before else desired


def standing(snapshot: Snapshot, settings: ManagerSettings) -> Standing:
    """Where the tenant is, by its Deployments."""
    deployments = [found for found in (snapshot.agent, snapshot.proxy) if found is not None]
    if in_flight := [found for found in deployments if is_in_flight(found, settings)]:
        return Standing.STUCK if any(_is_given_up(found) for found in in_flight) else Standing.IN_FLIGHT
    waiting = [found for found in deployments if _waits(found, settings)]
    if any(_hangs(found) for found in waiting):
        return Standing.HANGING
    return Standing.WAITING if waiting else Standing.DONE


def is_in_flight(deployment: Manifest, settings: ManagerSettings) -> bool:
    """Whether the Deployment was brought to the newest release and holds a place, since it is not available.

    One that was not available before proves nothing about the release, so it gives its place back once Kubernetes has
    given it up: a tenant that broke its own namespace must not hold up the fleet.
    """
    before = _annotation(deployment, labels.ROLLED_WHILE)
    if before is None or _waits(deployment, settings) or is_complete(deployment):
        return False
    return before == labels.AVAILABLE or not _is_given_up(deployment)


def is_complete(deployment: Manifest) -> bool:
    """Whether every pod is of the current template and available, as `kubectl rollout status` reads it."""
    status = deployment.get("status") or {}
    wanted = int((deployment.get("spec") or {}).get("replicas", 1))
    updated = int(status.get("updatedReplicas") or 0)
    return (
        # Of the current spec.
        int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
        and updated >= wanted
        and int(status.get("replicas") or 0) <= updated
        and int(status.get("availableReplicas") or 0) >= wanted
    )


def _build(gateway: Manifest, spec: ActionsGatewaySpec, settings: ManagerSettings) -> tuple[Manifest, Manifest]:
    proxy = build_proxy_deployment(
        gateway,
        spec,
        image=settings.proxy_image,
        platform=settings.egress,
        drain_seconds=settings.proxy_drain_seconds,
    )
    agent = build_agent_deployment(
        gateway,
        spec,
        controller_image=settings.controller_image,
        worker_image=settings.worker_image,
        is_contained=is_contained(gateway),
    )
    return proxy, agent


def _waits(deployment: Manifest, settings: ManagerSettings) -> bool:
    return _annotation(deployment, labels.RELEASE) != releases_of(settings)[deployment["metadata"]["name"]]


def _hangs(deployment: Manifest) -> bool:
    return _annotation(deployment, labels.ROLLED_WHILE) is not None and not is_complete(deployment)


def _is_given_up(deployment: Manifest) -> bool:
    """Whether the rollout made no progress for the Deployment's deadline (Kubernetes, "Failed Deployment")."""
    entries = (deployment.get("status") or {}).get("conditions") or []
    return any(entry.get("type") == "Progressing" and entry.get("status") == "False" for entry in entries)


def _wishes(gateway: Manifest) -> str:
    """A digest of what the tenant says about its Deployments."""
    spec = {name: value for name, value in (gateway.get("spec") or {}).items() if name not in _NOT_OF_DEPLOYMENTS}
    return _digest([spec, is_contained(gateway)])


def _container(deployment: Manifest) -> Manifest:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    names = {AGENT: AGENT_CONTAINER, PROXY: PROXY_CONTAINER}
    wanted = names[deployment["metadata"]["name"]]
    return next((entry for entry in containers if entry["name"] == wanted), {})


def _annotated(manifest: Manifest, annotations: Mapping[str, str]) -> Manifest:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **annotations}}}


def _annotation(manifest: Manifest, name: str) -> str | None:
    value = (manifest["metadata"].get("annotations") or {}).get(name)
    return None if value is None else str(value)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
