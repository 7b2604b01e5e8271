"""Which gateways want a look after an object changed, and how soon."""

from typing import Any

from actions_gateway.engine.workqueue import Lane
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.listwatch import key_of
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    HPAS,
    NAMESPACES,
    PODS,
    RESOURCEQUOTAS,
    RUNNERGROUPS,
    Resource,
)
from actions_gateway.manager.gateway import additions
from actions_gateway.manager.gateway.mirror import Edit, Mirrors
from actions_gateway.manager.gateway.snapshot import Key

_COUNTERS = ("activeSessions", "activeJobs", "pendingJobs", "registrations")
_COUNTER_DELAY_SECONDS = 2.0
"""Counters move with every job; a gateway's sums follow them in steps, so that a burst costs one write and not each."""
_ROLLOUT_DELAY_SECONDS = 0.5
"""A Deployment's counts follow each other closely, too, and each is a field of the gateway's status."""
_POD_DELAY_SECONDS = 1.0
"""A pod's steps on its way up follow each other closely, and only one that stays where it is says something."""
_MOVING = dict.fromkeys(("resourceVersion", "generation", "managedFields"))
"""Metadata that any write moves."""


def concerned(mirrors: Mirrors, resource: Resource, edit: Edit) -> list[Key]:
    """The keys of all gateways in the object's namespace, and of a gateway that is gone, too.

    All of them, since a child may have lost the reference to its owner, and the next gateway takes over a free place.
    None when nothing changed of what is read: of a quota that is what it admits, since its use moves with every job.
    """
    if _says_the_same(resource, edit):
        return []
    manifest = _either(edit)
    namespace = str(manifest["metadata"]["name"]) if resource == NAMESPACES else key_of(manifest)[0]
    keys = [key_of(gateway) for gateway in mirrors[ACTIONSGATEWAYS].in_namespace(namespace)]
    if resource == ACTIONSGATEWAYS and key_of(manifest) not in keys:
        keys.append(key_of(manifest))
    return keys


def delay_seconds(resource: Resource, edit: Edit) -> float:
    """How long the look may wait."""
    if resource == PODS:
        return _POD_DELAY_SECONDS
    if edit.before is None or edit.after is None:
        return 0.0
    if resource in (DEPLOYMENTS, HPAS) and _without_status(edit.before) == _without_status(edit.after):
        return _ROLLOUT_DELAY_SECONDS
    if resource != RUNNERGROUPS:
        return 0.0
    same = _without_counters(edit.before) == _without_counters(edit.after)
    return _COUNTER_DELAY_SECONDS if same else 0.0


def lane_of(resource: Resource, edit: Edit) -> Lane:
    """Where the look waits: a new gateway must not wait for those that were there before, nor delay one half done."""
    return Lane.NEW if resource == ACTIONSGATEWAYS and edit.before is None else Lane.FOLLOW_UP


def says_more(resource: Resource, edit: Edit, written: Manifest) -> bool:
    """Whether the answer to a write of `written`, a manifest or a merge patch, tells of a change by somebody else.

    Such a change is in the copy with the answer, so that the watch, which tells of it later, says nothing new: a
    gateway's edit or deletion that meets our status write would go unheeded.
    """
    if edit.before is None or edit.after is None:
        return False
    moving = dict(_MOVING)
    if resource.kind in additions.KINDS:
        # What others have added, entries of the lists that we write included, is all that is kept of these.
        del moving["managedFields"]
    before, after = (_without({"metadata": moving}, _without(written, side)) for side in (edit.before, edit.after))
    return bool(before != after)


def _either(edit: Edit) -> Manifest:
    manifest = edit.after or edit.before
    assert manifest is not None
    return manifest


def _says_the_same(resource: Resource, edit: Edit) -> bool:
    if resource == RESOURCEQUOTAS:
        return bool(_admitted(edit.before) == _admitted(edit.after))
    if edit.before is None or edit.after is None:
        return False
    return _without_version(edit.before) == _without_version(edit.after)


def _admitted(quota: Manifest | None) -> Any:
    return ((quota or {}).get("status") or {}).get("hard")


def _without_version(manifest: Manifest) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": None}}


def _without(written: Manifest, manifest: Manifest) -> Manifest:
    """What is left of an object when the fields that were written are taken out; a list goes as a whole."""
    kept = {}
    for name, value in manifest.items():
        if name not in written:
            kept[name] = value
        elif isinstance(value, dict) and isinstance(written[name], dict):
            kept[name] = _without(written[name], value)
    return {name: value for name, value in kept.items() if value not in ({}, [], None)}


def _without_status(manifest: Manifest) -> dict[str, Any]:
    return {**_without_version(manifest), "status": None}


def _without_counters(manifest: Manifest) -> dict[str, Any]:
    status = {key: value for key, value in (manifest.get("status") or {}).items() if key not in _COUNTERS}
    return {**_without_version(manifest), "status": status}
