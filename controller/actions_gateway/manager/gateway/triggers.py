"""Which gateways want a look after an object changed, and how soon."""

from typing import Any

from actions_gateway.kube.client import Manifest
from actions_gateway.kube.listwatch import key_of
from actions_gateway.kube.resources import ACTIONSGATEWAYS, NAMESPACES, RUNNERGROUPS, Resource
from actions_gateway.manager.gateway.mirror import Edit, Mirrors
from actions_gateway.manager.gateway.snapshot import Key

_COUNTERS = ("activeSessions", "activeJobs", "pendingJobs")
_COUNTER_DELAY_SECONDS = 2.0
"""Counters move with every job; a gateway's sums follow them in steps, so that a burst costs one write and not each."""


def concerned(mirrors: Mirrors, resource: Resource, edit: Edit) -> list[Key]:
    """The keys of all gateways in the object's namespace, and of a gateway that is gone, too.

    All of them, since a child may have lost the reference to its owner, and the next gateway takes over a free place.
    """
    manifest = _either(edit)
    namespace = str(manifest["metadata"]["name"]) if resource == NAMESPACES else key_of(manifest)[0]
    keys = [key_of(gateway) for gateway in mirrors[ACTIONSGATEWAYS].in_namespace(namespace)]
    if resource == ACTIONSGATEWAYS and key_of(manifest) not in keys:
        keys.append(key_of(manifest))
    return keys


def delay_seconds(resource: Resource, edit: Edit) -> float:
    """How long the look may wait."""
    if resource != RUNNERGROUPS or edit.before is None or edit.after is None:
        return 0.0
    same = _without_counters(edit.before) == _without_counters(edit.after)
    return _COUNTER_DELAY_SECONDS if same else 0.0


def _either(edit: Edit) -> Manifest:
    manifest = edit.after or edit.before
    assert manifest is not None
    return manifest


def _without_counters(manifest: Manifest) -> dict[str, Any]:
    status = {key: value for key, value in (manifest.get("status") or {}).items() if key not in _COUNTERS}
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "resourceVersion"}
    return {**manifest, "metadata": metadata, "status": status}
