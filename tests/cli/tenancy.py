"""A tenant that changes: a cluster in memory whose manager and agent follow what is written, one step a wait.

After what the real ones do: the manager writes the RunnerGroups and then the generation that it has looked at
(actions_gateway/manager/gateway/reconcile.py), the agent the sessions of each group and its generation
(actions_gateway/agent/runnergroups/status.py), and a deleted gateway goes when nothing of it is left
(actions_gateway/manager/gateway/deletion.py). The API server counts a spec's changes in `metadata.generation`.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.kube import resources as r
from actions_gateway.kube.resources import Resource

from .double import ClusterDouble
from .objects import agent_pod, condition, gateway, namespace, proxy_pod, ready, runner_group, worker_pod
from .rig import Gw

Manifest = dict[str, Any]
TENANT = "team-a"
CPU = {"name": "cpu", "runnerLabels": ["self-hosted", "linux"], "maxListeners": 5, "maxWorkers": 20}
GPU = {
    "name": "gpu",
    "runnerLabels": ["gpu"],
    "priorityTiers": [{"priorityClassName": "critical", "threshold": 2}, {"priorityClassName": "low", "threshold": 8}],
}


class CountingCluster(ClusterDouble):
    """Counts the changes of specs, and of objects as their resourceVersion."""

    async def patch(self, resource: Resource, name: str, patch: Manifest, **how: Any) -> Manifest:
        before = (await self.get(resource, name, how.get("namespace"))).get("spec")
        result = await super().patch(resource, name, patch, **how)
        if not how.get("dry_run") and result.get("spec") != before:
            stored = self.objects[resource.plural, how.get("namespace") or "", name]
            stored["metadata"]["generation"] = int(stored["metadata"].get("generation") or 0) + 1
        return result


@dataclass
class Tenancy:
    """gw beside one tenant with two groups, a manager and an agent that are at work unless a test stops them."""

    gw: Gw = field(default_factory=Gw)
    cluster: CountingCluster = field(default_factory=CountingCluster)
    has_manager: bool = True
    has_agent: bool = True
    ends_jobs: bool = True
    """Whether a running job ends with the next step once its group is suspended."""
    steps: int = 0

    def __post_init__(self) -> None:
        self.gw.cluster = self.cluster
        self.gw.clock.on_sleep = self.step
        self.cluster.put(namespace(TENANT, uid="uid-ns", labels={labels.MANAGED_BY: "gw"}))
        manifest = gateway(TENANT, spec={"runnerGroups": copy.deepcopy([CPU, GPU])})
        manifest["metadata"]["finalizers"] = [names.GATEWAY_FINALIZER]
        for each in (manifest, agent_pod(TENANT), proxy_pod(TENANT), worker_pod(TENANT)):
            self.cluster.put(each)
        for name in ("critical", "low"):
            self.cluster.put(
                {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
            )
        self._manage(manifest)
        self._serve()

    def __call__(self, *arguments: str, **how: Any) -> Any:
        answer = self.gw(*arguments, **how)
        assert "Traceback" not in answer.err
        return answer

    @property
    def gateway(self) -> Manifest:
        return self.cluster.objects[r.ACTIONSGATEWAYS.plural, TENANT, TENANT]

    def group(self, name: str) -> Manifest:
        return self.cluster.objects[r.RUNNERGROUPS.plural, TENANT, f"{TENANT}-{name}"]

    def step(self) -> None:
        """What happens in the world while gw waits."""
        self.steps += 1
        found = self.cluster.objects.get((r.ACTIONSGATEWAYS.plural, TENANT, TENANT))
        if found is None:
            return
        if self.has_agent:
            self._serve()
        if self.has_manager and found["metadata"].get("deletionTimestamp"):
            self._take_down(found)
        elif self.has_manager:
            self._manage(found)

    def _manage(self, found: Manifest) -> None:
        entries = {f"{TENANT}-{each['name']}": each for each in found["spec"]["runnerGroups"]}
        for name, entry in entries.items():
            suspended = bool(entry.get("suspended") or found["spec"].get("paused"))
            spec = {key: value for key, value in entry.items() if key != "name"} | {"suspended": suspended}
            key = (r.RUNNERGROUPS.plural, TENANT, name)
            if key not in self.cluster.objects:
                made = runner_group(TENANT, entry["name"], sessions=0)
                made["metadata"] |= {"generation": 1, "uid": f"uid-{name}"}
                self.cluster.put(made | {"spec": spec})
            elif self.cluster.objects[key]["spec"] != spec:
                self.cluster.objects[key]["spec"] = spec
                self.cluster.objects[key]["metadata"]["generation"] += 1
        for key in [key for key in self.cluster.objects if key[0] == r.RUNNERGROUPS.plural and key[2] not in entries]:
            del self.cluster.objects[key]
        found["status"]["observedGeneration"] = found["metadata"]["generation"]

    def _serve(self) -> None:
        for key, group in self.cluster.objects.items():
            if key[0] != r.RUNNERGROUPS.plural:
                continue
            suspended = bool(group["spec"]["suspended"])
            jobs = self._jobs_of(key[2], suspended=suspended)
            group["status"] = {
                "observedGeneration": group["metadata"]["generation"],
                "activeSessions": 0 if suspended else 1,
                "activeJobs": jobs,
                "registrations": jobs if suspended else 1 + jobs,
                "conditions": [ready("False", Reason.SUSPENDED)]
                if suspended
                else [ready(reason=Reason.LISTENER_ACTIVE)],
            }

    def _jobs_of(self, group: str, *, suspended: bool) -> int:
        pods = [
            pod
            for (plural, where, _), pod in self.cluster.objects.items()
            if plural == r.PODS.plural
            and where == TENANT
            and pod["metadata"]["labels"].get(labels.RUNNER_GROUP) == group
        ]
        running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
        if suspended and self.ends_jobs:
            for pod in running:
                pod["status"]["phase"] = "Succeeded"
        return len(running)

    def _take_down(self, found: Manifest) -> None:
        ours = (r.RUNNERGROUPS.plural, r.PODS.plural)
        left = [key for key in self.cluster.objects if key[0] in ours and key[1] == TENANT]
        for key in left:
            del self.cluster.objects[key]
        if left:
            words = "Still there: RunnerGroup team-a-cpu."
            found["status"]["conditions"].append(
                condition(ConditionType.DELETING, "True", Reason.REMOVING_OBJECTS, words)
            )
        elif found["metadata"]["finalizers"] == [names.GATEWAY_FINALIZER]:
            del self.cluster.objects[r.ACTIONSGATEWAYS.plural, TENANT, TENANT]
        else:
            found["metadata"]["finalizers"] = [
                name for name in found["metadata"]["finalizers"] if name != names.GATEWAY_FINALIZER
            ]
