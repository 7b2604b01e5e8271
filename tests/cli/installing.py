"""`gw install` with images of its own, on a cluster whose manager comes up at once."""

from typing import Any

from actions_gateway.api.names import MANAGER, MANAGER_LEASE, MANAGER_NAMESPACE
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.kube import resources as r

from .objects import moment
from .rig import Answer, Gw

Manifest = dict[str, Any]

IMAGE = f"registry.example.com/controller@sha256:{'a' * 64}"
PROXY = f"registry.example.com/envoy@sha256:{'e' * 64}"
NAMED = ("--controller-image", IMAGE, "--proxy-image", PROXY)


class Install:
    """`gw install` with images, on a cluster whose manager comes up at once."""

    def __init__(self, gw: Gw) -> None:
        self.gw = gw

    def __call__(self, *arguments: str, **how: Any) -> Answer:
        answer = self.gw("install", *NAMED, *arguments, **how)
        assert "Traceback" not in answer.err
        return answer

    def wrote_nothing(self) -> bool:
        cluster = self.gw.cluster
        return not (cluster.applied or cluster.created or cluster.deleted)


def manager_comes_up(gw: Gw, manifest: Manifest) -> None:
    """What API server, kubelet and manager do: definitions are served, pods are ready, one leads."""
    if manifest["kind"] == "CustomResourceDefinition":
        manifest["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
    if manifest["kind"] == "Deployment":
        wanted = manifest["spec"]["replicas"]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), wanted)
        manifest["status"] = {"observedGeneration": 1, **counts}
        lease = {"holderIdentity": "gmc-0_1", "renewTime": moment(0), "leaseDurationSeconds": 15}
        pod = {"name": "gmc-0", "namespace": MANAGER_NAMESPACE, "labels": SELECTOR}
        gw.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": pod})
        about = {"name": MANAGER_LEASE, "namespace": MANAGER_NAMESPACE}
        gw.cluster.put({"apiVersion": r.LEASES.api_version, "kind": "Lease", "metadata": about, "spec": lease})


def environment_of(gw: Gw) -> dict[str, str]:
    """What the stored manager is told."""
    deployment = gw.cluster.objects[r.DEPLOYMENTS.plural, MANAGER_NAMESPACE, MANAGER]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}
