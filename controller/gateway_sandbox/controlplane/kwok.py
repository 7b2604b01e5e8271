"""kwok on a control plane: thousands of nodes and pods that exist in the API only, for tests of scale.

It plays the nodes that carry its annotation and the pods on them, by the stages below; every other node is left alone.
It is one more process of the control plane and ends with it. Source: kwok's documentation, "Stages Configuration" and
"kwok" (command line).
"""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from actions_gateway.installation.metadata import rule
from actions_gateway.kube.client import KubeClient
from gateway_sandbox.controlplane.identities import grant
from gateway_sandbox.controlplane.processes import Process
from gateway_sandbox.controlplane.programs import KWOK
from gateway_sandbox.controlplane.server import ControlPlane

FAKE_NODE: Mapping[str, str] = MappingProxyType({"kwok.x-k8s.io/node": "fake"})
"""The annotation of a node that kwok plays."""
USER = "kwok"
POD_NETWORK = "10.245.0.0/16"

# Renewed at a quarter of it: the node lifecycle controller forgives 50 s of silence, and a thousand nodes that renew
# as often as kubelets do would keep the API server busy with nothing else.
_LEASE_SECONDS = 80

_RULES = (
    rule("", ["nodes"], ["get", "list", "watch"]),
    rule("", ["nodes/status", "pods/status"], ["patch"]),
    rule("", ["pods"], ["get", "list", "watch", "delete"]),
    rule("coordination.k8s.io", ["leases"], ["create", "get", "list", "watch", "update", "patch"]),
)

_READY_NODE = """\
{{ $now := Now }}
phase: Running
conditions:
- type: Ready
  status: "True"
  reason: KubeletReady
  message: kwok plays this node
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
addresses:
- type: Hostname
  address: {{ .metadata.name | Quote }}
"""

_READY_POD = """\
{{ $now := Now }}
{{ $addresses := PodIPsWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace }}
{{ $address := or .status.podIP (index $addresses 0) }}
phase: Running
startTime: {{ or .status.startTime $now | Quote }}
conditions:
{{ range $type := list "Initialized" "ContainersReady" "Ready" }}
- type: {{ $type }}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
podIP: {{ $address | Quote }}
podIPs:
- ip: {{ $address | Quote }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  started: true
  restartCount: 0
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
"""


async def start_kwok(plane: ControlPlane, client: KubeClient, *, more_stages: Iterable[dict[str, Any]] = ()) -> Process:
    """Starts kwok with an identity of its own; `client` is the administrator's. Raises ProgramsMissing, KubeError."""
    await grant(client, USER, _RULES)
    config = plane.folder / "kwok.yaml"
    config.write_text("\n---\n".join(json.dumps(stage) for stage in [*build_stages(), *more_stages]))
    flags = [
        f"--kubeconfig={plane.kubeconfig_for(USER)}",
        f"--config={config}",
        *(f"--manage-nodes-with-annotation-selector={key}={value}" for key, value in FAKE_NODE.items()),
        f"--cidr={POD_NETWORK}",
        f"--node-lease-duration-seconds={_LEASE_SECONDS}",
    ]
    return plane.run_beside(KWOK, flags)


def build_stages() -> list[dict[str, Any]]:
    """A node is and stays ready; a pod becomes ready at once, and goes when it is deleted.

    A pod becomes ready again, too: its node was late with its lease, and the node lifecycle controller wrote it off.
    """
    is_leaving = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}
    is_staying = is_leaving | {"operator": "DoesNotExist"}
    is_unready = {
        "key": '.status.conditions.[] | select( .type == "Ready" ) | .status',
        "operator": "NotIn",
        "values": ["True"],
    }
    is_alive = {"key": ".status.phase", "operator": "In", "values": ["Pending", "Running"]}
    return [
        build_stage("node-ready", "Node", [is_unready], {"statusTemplate": _READY_NODE}),
        build_stage("pod-ready", "Pod", [is_staying, is_alive, is_unready], {"statusTemplate": _READY_POD}),
        build_stage("pod-delete", "Pod", [is_leaving], {"delete": True}),
    ]


def build_fake_node(name: str, *, cpu: str = "32", memory: str = "256Gi", pods: int = 110) -> dict[str, Any]:
    """A node for kwok to play."""
    room = {"cpu": cpu, "memory": memory, "pods": str(pods)}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "metadata": {"name": name, "annotations": dict(FAKE_NODE), "labels": labels},
        "status": {"capacity": room, "allocatable": room},
    }


def build_stage(
    name: str, kind: str, conditions: list[dict[str, Any]], after: dict[str, Any], *, delay_seconds: float = 0.0
) -> dict[str, Any]:
    """One step of what kwok plays: objects that match `conditions` change so, after a while."""
    delay = {"delay": {"durationMilliseconds": round(delay_seconds * 1000)}} if delay_seconds else {}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": conditions},
            "next": after,
            **delay,
        },
    }
