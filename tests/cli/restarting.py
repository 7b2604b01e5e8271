"""A cluster with an agent and a manager that are restarted while gw waits."""

import json
from collections.abc import Callable
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.kube import resources as r

from .double import ClusterDouble
from .objects import agent_pod, healthy_cluster, moment
from .rig import Answer, Gw

Manifest = dict[str, Any]


def deployment(name: str, namespace: str, wanted: int, **spec: Any) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": 1},
        "spec": {"replicas": wanted, "template": {"metadata": {}}, **spec},
        "status": {
            "observedGeneration": 1,
            **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), wanted),
        },
    }


class World:
    """A cluster whose Deployments' controller and kubelets go one step further at each wait of gw."""

    def __init__(self, *more: Manifest) -> None:
        objects = [*healthy_cluster(), *more]
        objects.append(deployment(names.AGENT, "team-a", 1))
        objects = [each for each in objects if each["metadata"]["name"] != names.MANAGER]
        objects.append(deployment(names.MANAGER, names.MANAGER_NAMESPACE, 2))
        self.gw = Gw(cluster=ClusterDouble(*objects))
        self.cluster = self.gw.cluster
        for pod in self.pods(names.AGENT):
            pod["metadata"]["uid"] = "uid-old-agent"
        for worker in self.workers():
            worker["metadata"]["uid"] = f"uid-{worker['metadata']['name']}"
        for number in (0, 1):
            self.cluster.put(self.manager_pod(f"gmc-old-{number}"))
        self.gw.clock.on_sleep = self.step
        self.after: Callable[[], None] = lambda: None
        """What happens once the new pods are there."""

    def __call__(self, *arguments: str, **more: Any) -> Answer:
        return self.gw(*arguments, **more)

    def pods(self, app: str) -> list[Manifest]:
        pods = [each for key, each in self.cluster.objects.items() if key[0] == r.PODS.plural]
        key = labels.APP if app == names.AGENT else labels.APP_NAME
        wanted = app if app == names.AGENT else "gmc"
        return [pod for pod in pods if pod["metadata"]["labels"].get(key) == wanted]

    def workers(self) -> list[Manifest]:
        pods = [each for key, each in self.cluster.objects.items() if key[0] == r.PODS.plural]
        return [pod for pod in pods if labels.RUNNER_GROUP in pod["metadata"]["labels"]]

    def manager_pod(self, name: str, mark: str = "") -> Manifest:
        annotations = {labels.RESTARTED_AT: mark} if mark else {}
        metadata = {
            "name": name,
            "namespace": names.MANAGER_NAMESPACE,
            "uid": f"uid-{name}",
            "labels": {labels.APP_NAME: "gmc"},
            "annotations": annotations,
            "creationTimestamp": moment(0),
        }
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": status}

    def step(self) -> None:
        """As a Deployment's controller does: it makes pods of the new template and ends the others."""
        for app, namespace in ((names.AGENT, "team-a"), (names.MANAGER, names.MANAGER_NAMESPACE)):
            live = self.cluster.objects["deployments", namespace, app]
            mark = (live["spec"]["template"]["metadata"].get("annotations") or {}).get(labels.RESTARTED_AT)
            if mark and all(
                pod["metadata"].get("annotations", {}).get(labels.RESTARTED_AT) != mark for pod in self.pods(app)
            ):
                for pod in self.pods(app):
                    del self.cluster.objects["pods", namespace, pod["metadata"]["name"]]
                self.start(app, mark)
                self.after()

    def start(self, app: str, mark: str) -> None:
        if app == names.AGENT:
            pod = agent_pod()
            pod["metadata"] |= {
                "name": f"{names.AGENT}-new",
                "uid": "uid-new-agent",
                "annotations": {labels.RESTARTED_AT: mark},
            }
            self.cluster.put(pod)
            return
        for number in (0, 1):
            self.cluster.put(self.manager_pod(f"gmc-new-{number}", mark))
        lease = self.cluster.objects["leases", names.MANAGER_NAMESPACE, names.MANAGER_LEASE]
        lease["spec"] |= {"holderIdentity": "gmc-new-1_0badcafe", "renewTime": moment(-30)}

    def log(self, *entries: Manifest) -> None:
        lines = [f"{moment(0)} {json.dumps(entry)}\n".encode() for entry in entries]
        self.cluster.logs["team-a", f"{names.AGENT}-new", names.AGENT_CONTAINER] = lines

    def log_adoption(self, *pods: str, failed: int = 0) -> None:
        self.log(
            *({"level": "info", "event": "job adopted", "runner_group": "team-a-cpu", "pod": pod} for pod in pods),
            {"level": "info", "event": "earlier jobs taken over", "jobs": len(pods), "seconds": 0.2},
            *[{"level": "warning", "event": "renewal failed", "failures": 1}] * failed,
        )
