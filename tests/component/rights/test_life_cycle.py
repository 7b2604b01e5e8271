"""A gateway's whole life with nothing but the real rights: no request is refused, and no right is left unused."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, AGENT_CLUSTER_ROLE, MANAGER, MANAGER_NAMESPACE, PROXY, WORKLOAD_POLICY
from actions_gateway.installation.rights import (
    build_agent_role,
    build_leader_role,
    build_manager_role,
)
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    EVENTS,
    HPAS,
    NAMESPACES,
    NETWORKPOLICIES,
    PDBS,
    PODS,
    ROLEBINDINGS,
    RUNNERGROUPS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    Resource,
)
from actions_gateway.manager.gateway.pod_security import TAKEN_OVER
from actions_gateway.manager.gateway.release import is_complete
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import Looks, run
from support.audit import ACCOUNT, Request, requests_of
from support.installed import gateway_in, user_subject
from support.manager_rig import condition_of
from support.pod_player import Gate
from support.rights import granted, is_allowed

from .hidden import ANSWERED_TO_AGENTS, ANSWERED_WITHOUT_A_REQUEST
from .site import APP_SECRET, ForgetfulClient, Site, Upgrade, site

CPU, GPU = ("self-hosted", "cpu"), ("self-hosted", "gpu")
_NEXT_IMAGE = "controller:next"
_LONGEST_STATION_SECONDS = 150.0
_LONGEST_LIFE_SECONDS = 420.0
"""Against a hang: an idle machine takes a tenth of it, and tests of other files run beside."""
KINDS: tuple[tuple[Resource, str, Manifest, Callable[[Manifest], bool]], ...] = (
    (
        SERVICEACCOUNTS,
        AGENT,
        {"automountServiceAccountToken": True},
        lambda found: found["automountServiceAccountToken"] is False,
    ),
    (ROLEBINDINGS, AGENT, {"subjects": []}, lambda found: len(found.get("subjects") or []) == 1),
    (
        NETWORKPOLICIES,
        WORKLOAD_POLICY,
        {"spec": {"ingress": [{}]}},
        lambda found: not found["spec"].get("ingress"),
    ),
    (
        DEPLOYMENTS,
        AGENT,
        {"spec": {"strategy": {"type": "RollingUpdate"}}},
        lambda found: found["spec"]["strategy"]["type"] == "Recreate",
    ),
    (
        DEPLOYMENTS,
        PROXY,
        {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 600}}}},
        lambda found: found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] < 600,
    ),
    (
        SERVICES,
        PROXY,
        {"spec": {"selector": {labels.APP: "other"}}},
        lambda found: found["spec"]["selector"][labels.APP] == PROXY,
    ),
    (PDBS, PROXY, {"spec": {"maxUnavailable": 0}}, lambda found: found["spec"]["maxUnavailable"] == 1),
    (HPAS, PROXY, {"spec": {"maxReplicas": 99}}, lambda found: found["spec"]["maxReplicas"] < 99),
    (RUNNERGROUPS, "ci-cpu", {"spec": {"maxWorkers": 9}}, lambda found: "maxWorkers" not in found["spec"]),
)
"""Each child kind with a change that the manager undoes, and how that shows."""


class Life:
    """The stations of one gateway in one namespace."""

    def __init__(self, place: Site, namespace: str, upgrade: Upgrade) -> None:
        self._site = place
        self._upgrade = upgrade
        self._as = place.as_
        self._namespace = namespace
        self.unbound: tuple[datetime, datetime] | None = None
        """When somebody else had the agent's binding in hand."""

    async def live(self) -> None:
        """From the first write to the last trace."""
        async with self._site.workers(self._namespace) as player:
            await self._begin()
            await self._run_jobs(4, CPU)
            gate = player.ending = Gate()
            await self._cancel_a_job(gate)
            await self._run_jobs(1, CPU)
            gate = player.ending = Gate()
            await self._restart_the_agent(gate)
            await self._refuse_a_pod()
            await self._scale()
            for kind in KINDS:
                await self._drift(*kind)
            await self._relabel()
            await self._plant_strangers()
            await self._rotate()
            await self._run_jobs(1, CPU)
            await self._pause()
            await self._contain()
            await self._release()
            await self._run_jobs(1, CPU)
            await self._prune()
            await self._delete()

    async def _begin(self) -> None:
        await self._site.furnish(self._namespace)
        # Ended pods go at once, so that their removal is part of the story. Without retries the job that cannot be
        # started is given up for good: rerun meanwhile, it would keep a runner busy through the stations after it.
        groups = [
            {"name": "cpu", "runnerLabels": list(CPU), "completedPodTTL": "0s"},
            {
                "name": "gpu",
                "runnerLabels": list(GPU),
                "completedPodTTL": "0s",
                "pendingPodDeadline": "3s",
                "maxEvictionRetries": 0,
            },
        ]
        reference = {"name": "github-ca"}
        manifest = gateway_in(self._namespace, gitHubURL=self._site.url, caBundleRef=reference, runnerGroups=groups)
        await self._as.gateway(manifest)
        await self._site.until_ready(self._namespace)

    async def _run_jobs(self, count: int, wanted: tuple[str, ...]) -> None:
        core = self._site.simulator.core
        jobs = [core.enqueue(wanted, name=f"job {number}") for number in range(count)]
        await self._site.until_done(jobs)
        assert {job.conclusion for job in jobs} == {"success"}
        await self._until_no(PODS, labels.RUNNER_GROUP)
        await self._until_no(SECRETS, labels.RUNNER_GROUP)

    async def _cancel_a_job(self, gate: Gate) -> None:
        job = self._site.simulator.core.enqueue(CPU, name="to be cancelled")
        (pod,) = await self._until_some(PODS, labels.RUNNER_GROUP)
        await self._as.until(PODS, pod["metadata"]["name"], self._namespace, lambda found: _phase(found) == "Running")
        self._site.simulator.core.cancel(job.run)
        await self._as.until(PODS, pod["metadata"]["name"], self._namespace, _is_told_of_its_cancellation)
        gate.open()
        await self._site.until_done([job])
        await self._until_no(PODS, labels.RUNNER_GROUP)

    async def _restart_the_agent(self, gate: Gate) -> None:
        """An agent whose pod goes while a job runs: the next one takes the job over."""
        job = self._site.simulator.core.enqueue(CPU, name="to be taken over")
        (pod,) = await self._until_some(PODS, labels.RUNNER_GROUP)
        await self._as.until(PODS, pod["metadata"]["name"], self._namespace, lambda found: _phase(found) == "Running")
        (agent,) = await self._until_some(PODS, f"{labels.APP}={AGENT}")
        name = agent["metadata"]["name"]
        await self._as.admin.delete(PODS, name, namespace=self._namespace, grace_period_seconds=0)
        await self._as.until_gone(PODS, name, self._namespace)
        (successor,) = await self._until_some(PODS, f"{labels.APP}={AGENT}")
        sessions = self._site.simulator.core
        await sessions.state.wait_for(
            lambda: any(one.owner_name == successor["metadata"]["name"] for one in sessions.sessions())
        )
        gate.open()
        await self._site.until_done([job])
        await self._until_no(PODS, labels.RUNNER_GROUP)
        await self._until_no(SECRETS, labels.RUNNER_GROUP)

    async def _refuse_a_pod(self) -> None:
        """A template that the API server refuses: the job waits until its deadline, and is withdrawn."""
        await self._change_group(1, podTemplate={"spec": {"nodeSelector": {"not a key": "x"}}})
        await self._as.until(RUNNERGROUPS, "ci-gpu", self._namespace, _has_a_template_that_its_agent_knows)
        job = self._site.simulator.core.enqueue(GPU, name="not to be started")
        # Whose Secret is there before the first try, and goes at the deadline.
        await self._until_event("WorkerPodCreateFailed", is_series=True)
        await self._until_no(SECRETS, labels.RUNNER_GROUP)
        self._site.simulator.core.conclude(job, "cancelled")

    async def _scale(self) -> None:
        await self._change_group(0, maxListeners=5)
        await self._as.until(RUNNERGROUPS, "ci-cpu", self._namespace, lambda found: found["spec"]["maxListeners"] == 5)
        await self._run_jobs(6, CPU)

    async def _drift(
        self, resource: Resource, name: str, change: Manifest, is_undone: Callable[[Manifest], bool]
    ) -> None:
        """Changed by an administrator, then deleted: it comes back both times."""
        began = datetime.now(UTC)
        await self._as.admin.patch(resource, name, change, namespace=self._namespace)
        found = await self._as.until(resource, name, self._namespace, is_undone)
        uid = found["metadata"]["uid"]
        await self._as.admin.delete(resource, name, namespace=self._namespace, uid=uid)
        await self._as.until(resource, name, self._namespace, lambda again: again["metadata"]["uid"] != uid)
        if resource == ROLEBINDINGS:
            await self._put_another_binding(name)
            await self._until_bound()
            self.unbound = (began, datetime.now(UTC))
        await self._site.until_ready(self._namespace)

    async def _put_another_binding(self, name: str) -> None:
        binding = await self._as.admin.get(ROLEBINDINGS, name, self._namespace)
        metadata = {"name": name, "namespace": self._namespace, "labels": binding["metadata"]["labels"]}
        forged = {**binding, "metadata": metadata, "roleRef": {**binding["roleRef"], "name": "edit"}}
        await self._as.admin.delete(ROLEBINDINGS, name, namespace=self._namespace)
        await self._as.until_admitted(lambda: self._replace(ROLEBINDINGS, name, forged))
        await self._as.until(ROLEBINDINGS, name, self._namespace, lambda found: found["roleRef"] == binding["roleRef"])

    async def _until_bound(self) -> None:
        """Returns once authorization knows the binding: it hears of bindings in their order, and knows a later one."""
        await self._as.bind(AGENT_CLUSTER_ROLE, self._namespace, user_subject("later"))
        async with self._as.user("later") as later:
            await self._as.until_allowed(later, "create", PODS, self._namespace)

    async def _replace(self, resource: Resource, name: str, manifest: Manifest) -> None:
        """Puts an object in the place of the manager's, which may be back already."""
        try:
            await self._as.admin.delete(resource, name, namespace=self._namespace)
        except NotFound:
            pass
        await self._as.admin.apply(resource, manifest, field_manager="kubectl")

    async def _plant_strangers(self) -> None:
        """Children that the gateway does not ask for, as an earlier version might have left them."""
        for resource, name, _, _ in KINDS:
            if resource in (SERVICEACCOUNTS, NETWORKPOLICIES, PDBS):
                known = await self._as.admin.get(resource, name, self._namespace)
                kept = {key: known["metadata"][key] for key in ("labels", "ownerReferences", "namespace")}
                stranger = {**known, "metadata": {"name": "left-over", **kept}}
                await self._as.admin.create(resource, stranger)
                await self._as.until_gone(resource, "left-over", self._namespace)

    async def _rotate(self) -> None:
        """A broken key and a good one, each under a name of its own: the agent rolls twice."""
        for name, key in (("github-app-v2", "no key"), ("github-app-v3", APP_SECRET["privateKey"])):
            secret = {"metadata": {"name": name, "namespace": self._namespace}}
            await self._as.admin.create(SECRETS, secret | {"stringData": APP_SECRET | {"privateKey": key}})
            await self._patch_gateway({"gitHubAppRef": {"name": name}})
            await self._site.until_ready(self._namespace, status="False")
        await self._site.until_ready(self._namespace)
        # Ready once more under the same words makes the event a series.
        await self._until_event("Ready", is_series=True)

    async def _relabel(self) -> None:
        """An administrator's changes of the namespace's labels: the marker comes back, a laxer level is taken over."""
        laxer = {labels.TENANT: None, labels.POD_SECURITY_ENFORCE: "privileged"}
        on_purpose = {labels.ALLOW_DOWNGRADE: "true"}
        patch = {"metadata": {"labels": laxer, "annotations": on_purpose}}
        await self._as.admin.patch(NAMESPACES, self._namespace, patch)
        wanted = {labels.TENANT: labels.TENANT_MARK, labels.POD_SECURITY_ENFORCE: "baseline"}
        await self._as.until(
            NAMESPACES, self._namespace, None, lambda found: wanted.items() <= found["metadata"]["labels"].items()
        )
        await self._until_event(TAKEN_OVER, is_series=False)

    async def _pause(self) -> None:
        """No session and no runner is left, and what waits at GitHub is taken afterwards."""
        core = self._site.simulator.core
        await self._patch_gateway({"paused": True})
        await self._until_condition("Paused", "True")
        await self._until_no_runner()
        job = core.enqueue(CPU, name="waits for the end of the pause")
        await self._site.until_ready(self._namespace)
        await self._patch_gateway({"paused": False})
        await self._until_condition("Paused", "False")
        await self._site.until_done([job])

    async def _until_no_runner(self) -> None:
        core = self._site.simulator.core
        try:
            async with asyncio.timeout(_LONGEST_STATION_SECONDS):
                await core.state.wait_for(lambda: not core.runners())
        except TimeoutError:
            left = [(runner.name, runner.state) for runner in core.runners()]
            raise AssertionError(f"runners are left at GitHub: {left}") from None

    async def _contain(self) -> None:
        """Nothing runs and nothing talks, until the annotation is gone."""
        await self._annotate("an incident")
        await self._site.until_ready(self._namespace, status="False")
        await self._as.until(DEPLOYMENTS, AGENT, self._namespace, lambda found: found["spec"]["replicas"] == 0)
        await self._until_list(NETWORKPOLICIES, "", lambda found: not any(map(_has_rules, found)))
        await self._annotate(None)
        await self._until_list(NETWORKPOLICIES, "", lambda found: all(map(_has_rules, found)))
        await self._site.until_ready(self._namespace)

    async def _release(self) -> None:
        """The manager's successor brings the agent to its own image, and takes the note away once it is up."""
        await self._upgrade(_NEXT_IMAGE)

        def is_rolled(found: Manifest) -> bool:
            (container,) = found["spec"]["template"]["spec"]["containers"]
            is_up = is_complete(found) and labels.ROLLED_WHILE not in found["metadata"]["annotations"]
            return bool(container["image"] == _NEXT_IMAGE) and is_up

        await self._as.until(DEPLOYMENTS, AGENT, self._namespace, is_rolled)
        await self._site.until_ready(self._namespace)

    async def _prune(self) -> None:
        gateway = await self._as.admin.get(ACTIONSGATEWAYS, "ci", self._namespace)
        await self._patch_gateway({"runnerGroups": gateway["spec"]["runnerGroups"][:1]})
        await self._as.until_gone(RUNNERGROUPS, "ci-gpu", self._namespace)

    async def _delete(self) -> None:
        core = self._site.simulator.core
        # The job before has used up one, and its successor is registered in the agent's own time.
        await core.state.wait_for(lambda: bool(core.runners()))
        await self._as.admin.delete(ACTIONSGATEWAYS, "ci", namespace=self._namespace)
        await self._until_no(RUNNERGROUPS, "")
        assert core.runners() == [], "the agent removes its runners while its groups are there"
        await self._as.until_gone(ACTIONSGATEWAYS, "ci", self._namespace)
        for resource, name, _, _ in KINDS:
            await self._as.until_gone(resource, name, self._namespace)
        told = {event["reason"] for event in (await self._as.admin.list(EVENTS, self._namespace)).items}
        assert "RemovingObjects" in told
        assert "RunnersLeftAtGitHub" not in told

    # -- parts

    async def _change_group(self, number: int, **fields: Any) -> None:
        gateway = await self._as.admin.get(ACTIONSGATEWAYS, "ci", self._namespace)
        groups = gateway["spec"]["runnerGroups"]
        groups[number] |= fields
        await self._patch_gateway({"runnerGroups": groups})

    async def _patch_gateway(self, spec: Manifest) -> None:
        await self._as.admin.patch(ACTIONSGATEWAYS, "ci", {"spec": spec}, namespace=self._namespace)

    async def _annotate(self, note: str | None) -> None:
        patch = {"metadata": {"annotations": {labels.CONTAINED: note}}}
        await self._as.admin.patch(ACTIONSGATEWAYS, "ci", patch, namespace=self._namespace)

    async def _until_condition(self, kind: str, status: str) -> None:
        def holds(found: Manifest) -> bool:
            return (condition_of(found, kind) or {}).get("status") == status

        await self._as.until(ACTIONSGATEWAYS, "ci", self._namespace, holds)

    async def _until_some(self, resource: Resource, selector: str) -> list[Manifest]:
        return await self._until_list(resource, selector, bool)

    async def _until_no(self, resource: Resource, selector: str) -> None:
        await self._until_list(resource, selector, lambda found: not found)

    async def _until_list(
        self, resource: Resource, selector: str, holds: Callable[[list[Manifest]], bool]
    ) -> list[Manifest]:
        looks = Looks()
        while True:
            found = (await self._as.admin.list(resource, self._namespace, label_selector=selector)).items
            if holds(found):
                return found
            await looks.pause()

    async def _until_event(self, reason: str, *, is_series: bool) -> None:
        def holds(found: list[Manifest]) -> bool:
            return any(event["reason"] == reason and bool(event.get("series")) == is_series for event in found)

        await self._until_list(EVENTS, "", holds)


def _has_rules(policy: Manifest) -> bool:
    return any(policy["spec"].get(direction) for direction in ("ingress", "egress"))


def _has_a_template_that_its_agent_knows(group: Manifest) -> bool:
    seen = (group.get("status") or {}).get("observedGeneration")
    return "podTemplate" in group["spec"] and bool(seen == group["metadata"]["generation"])


def _phase(pod: Manifest) -> str:
    return str((pod.get("status") or {}).get("phase"))


def _is_told_of_its_cancellation(pod: Manifest) -> bool:
    return bool(pod["metadata"]["annotations"].get(labels.CANCELLATION))


@pytest.fixture(scope="module")
def asked(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Request]]:
    """What manager and agent asked for in a whole life, by component."""
    folder = tmp_path_factory.mktemp("life")
    # The managers of other tests on this control plane are the same user.
    begun = plane.audit_log.stat().st_size

    async def main() -> dict[str, list[Request]]:
        async with (
            site(plane, folder, agent_client=ForgetfulClient) as place,
            # Marked from the start: admission may hear of the manager's own mark a moment later than the manager.
            place.as_.namespace(tenant=labels.TENANT_MARK) as namespace,
        ):
            users = {
                "manager": f"{ACCOUNT}{MANAGER_NAMESPACE}:{MANAGER}",
                "agent": f"{ACCOUNT}{namespace}:{AGENT}",
            }
            async with place.running() as upgrade:
                life = Life(place, namespace, upgrade)
                await life.live()
            found = await _once_watches_have_ended(plane, users, begun)
            assert life.unbound is not None
            begins, ends = life.unbound
            # While its rights were taken away, the agent was refused whatever it happened to ask for.
            found["agent"] = [one for one in found["agent"] if one.code != 403 or not begins <= one.received <= ends]
            return found

    return run(main(), timeout_seconds=_LONGEST_LIFE_SECONDS)


async def _once_watches_have_ended(plane: ControlPlane, users: dict[str, str], begun: int) -> dict[str, list[Request]]:
    """A watch enters the log when the server has noticed that its client is gone."""
    looks = Looks()
    while True:
        found = {component: requests_of(plane.audit_log, user, since=begun) for component, user in users.items()}
        lists, watches = (
            {
                (request.right.group, request.right.resource)
                for every in found.values()
                for request in every
                if request.right.verb == verb
            }
            for verb in ("list", "watch")
        )
        if lists == watches:
            return found
        await looks.pause()


RULES = {
    "manager": build_manager_role()["rules"] + build_leader_role()["rules"],
    "agent": build_agent_role()["rules"],
}


@pytest.mark.parametrize("component", RULES)
def test_a_whole_life_passes_without_one_refusal(component: str, asked: dict[str, list[Request]]) -> None:
    assert len(asked[component]) > 20
    assert [request for request in asked[component] if request.code in (401, 403)] == []


@pytest.mark.parametrize("component", RULES)
def test_no_granted_verb_is_left_unused(component: str, asked: dict[str, list[Request]]) -> None:
    used = {(request.right.verb, request.right.group, request.right.resource) for request in asked[component]}
    assert granted(RULES[component]) - used - ANSWERED_WITHOUT_A_REQUEST - {ANSWERED_TO_AGENTS} == set()


@pytest.mark.parametrize("component", RULES)
def test_every_request_is_one_that_our_own_reading_of_the_rules_allows(
    component: str, asked: dict[str, list[Request]]
) -> None:
    rights = {request.right for request in asked[component]}
    assert [right for right in sorted(rights) if not is_allowed(right, RULES[component])] == []


def test_an_agent_asks_for_nothing_outside_its_namespace(asked: dict[str, list[Request]]) -> None:
    assert len({request.namespace for request in asked["agent"]}) == 1


def test_the_manager_never_asks_for_a_secret(asked: dict[str, list[Request]]) -> None:
    assert [request for request in asked["manager"] if "secrets" in request.right.resource] == []
