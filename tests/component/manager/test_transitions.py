"""What a gateway's status and events say at each turn, on both API servers; kubelets and agents are played.

On the real server its Deployment controller counts the pods, and the test plays the kubelet; on the embedded one, which
has no controllers, the test plays both.
"""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.engine.clock import SystemClock
from actions_gateway.engine.supervision import cancel_and_wait
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    EVENTS,
    PODS,
    RESOURCEQUOTAS,
    RUNNERGROUPS,
    Resource,
)
from actions_gateway.manager.gateway.controller import GatewayController
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.apiserver import Api, Play
from support.manager_objects import SETTINGS, condition, gateway, group_conditions
from support.manager_rig import RecordingClient, condition_of

Manifest = dict[str, Any]

GROUP = "ci-cpu"
_LOOK_SECONDS = 0.02
_LISTENING = condition("Ready", "True", "ListenerActive")
_WORKS = condition("CredentialUnavailable", "False", "CredentialAvailable")


class Tenant:
    """A namespace with one gateway `ci`, seen by somebody who may do everything."""

    def __init__(self, api: Api, user: KubeClient, client: RecordingClient) -> None:
        self.is_real = api.is_real
        self.namespace = api.namespace
        self.user = user
        self.client = client

    @property
    def status_writes(self) -> int:
        """How often the manager has written this gateway's status."""
        path = f"/namespaces/{self.namespace}/actionsgateways/ci/status"
        return sum(method != "GET" and where.endswith(path) for method, where, _ in self.client.requests)

    async def create(self, **changes: Any) -> None:
        manifest = gateway(**changes)
        manifest["metadata"] = {"name": "ci", "namespace": self.namespace}
        await self.user.create(ACTIONSGATEWAYS, manifest)

    async def become_ready(self) -> None:
        """All that a gateway needs, in the order in which it comes."""
        await self.create()
        await self.run(PROXY, 2)
        await self.run(AGENT, 1)
        await self.report()
        await self.until_condition("Ready", "True")

    async def run(self, app: str, count: int, **status: Any) -> None:
        """As many pods of a Deployment are ready; `status` is added to the others, which are not."""
        deployment = await self.until(DEPLOYMENTS, app)
        pods = await self._pods(app, max(count, int(deployment["spec"].get("replicas", 1))))
        for number, name in enumerate(pods):
            ready = {"type": "Ready", "status": str(number < count)}
            await self._set(PODS, name, {"conditions": [ready]} | ({} if number < count else status))
        if not self.is_real:
            counts = dict.fromkeys(("readyReplicas", "availableReplicas", "updatedReplicas"), count)
            seen = {"observedGeneration": deployment["metadata"]["generation"], "replicas": len(pods)}
            await self._set(DEPLOYMENTS, app, seen | counts)

    async def report(self, *conditions: Manifest, **status: Any) -> None:
        """What the agent says of its group: all well by default."""
        await self.until(RUNNERGROUPS, GROUP)
        status = {"activeSessions": 1, "conditions": list(conditions) or group_conditions()} | status
        await self._set(RUNNERGROUPS, GROUP, status)

    async def change(self, **patch: Any) -> None:
        """A person's merge patch of the gateway."""
        await self.user.patch(ACTIONSGATEWAYS, "ci", patch, namespace=self.namespace)

    async def until(
        self, resource: Resource, name: str, holds: Callable[[Manifest], bool] = lambda _: True
    ) -> Manifest:
        while True:
            found = [one for one in (await self.user.list(resource, self.namespace)).items if is_named(one, name)]
            if found and holds(found[0]):
                return found[0]
            await asyncio.sleep(_LOOK_SECONDS)

    async def until_condition(self, kind: str, status: str, reason: str = "", *words: str) -> Manifest:
        """The gateway, once the condition is so and its message has the words."""

        def holds(found: Manifest) -> bool:
            entry = condition_of(found, kind) or {"status": "", "reason": "", "message": ""}
            is_so = entry["status"] == status and reason in ("", entry["reason"])
            return is_so and all(word in entry["message"] for word in words)

        return await self.until(ACTIONSGATEWAYS, "ci", holds)

    async def until_event(self, reason: str, kind: str = "Warning") -> None:
        """Returns once the gateway has an event with that reason; it has the type `kind`."""
        while True:
            if told := {entry["type"] for entry in await self._events() if entry["reason"] == reason}:
                assert told == {kind}
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def events(self) -> set[str]:
        """The reasons of all events about the gateway."""
        return {entry["reason"] for entry in await self._events()}

    async def _events(self) -> list[Manifest]:
        found = (await self.user.list(EVENTS, self.namespace)).items
        return [entry for entry in found if entry["regarding"]["kind"] == ACTIONSGATEWAYS.kind]

    async def _pods(self, app: str, count: int) -> list[str]:
        """The names of a Deployment's pods, once there are as many; on the embedded server they are made here."""
        while True:
            pods = (await self.user.list(PODS, self.namespace, label_selector=f"{labels.APP}={app}")).items
            names = sorted(pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"])
            if len(names) >= count:
                return names
            if self.is_real:
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                metadata = {"name": f"{app}-{len(names)}", "namespace": self.namespace, "labels": {labels.APP: app}}
                spec = {"containers": [{"name": "main", "image": "none"}]}
                await self.user.create(PODS, {"metadata": metadata, "spec": spec})

    async def _set(self, resource: Resource, name: str, status: Manifest) -> None:
        patch = {"status": status}
        await self.user.patch(resource, name, patch, namespace=self.namespace, subresource="status")


def is_named(manifest: Manifest, name: str) -> bool:
    return bool(manifest["metadata"]["name"] == name)


def waiting(reason: str, message: str = "", **container: Any) -> Manifest:
    """The status of a pod whose container waits."""
    entry = {"name": "main", "ready": False, "restartCount": 0, "image": "none", "imageID": ""}
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [entry | {"state": state} | container]}


@asynccontextmanager
async def tenant_on(api: Api) -> AsyncIterator[Tenant]:
    """A tenant's namespace and a manager at work; one that dies ends the test with its reason."""
    for manifest in crd_manifests():
        await api.serve(manifest)
    with tempfile.TemporaryDirectory() as folder:
        client = RecordingClient(await load_configuration(str(api.kubeconfig(Path(folder)))))
        async with api.client() as user, client, asyncio.TaskGroup() as group:
            controller = GatewayController(
                SETTINGS,
                client=client,
                clock=SystemClock(),
                rng=random.Random(7),
                metrics=Metrics(Component.MANAGER, "test"),
            )
            task = group.create_task(controller.run(), name="manager")
            yield Tenant(api, user, client)
            await cancel_and_wait(task)
            # Or a later manager on the same server would serve it, too.
            released = {"metadata": {"finalizers": None}}
            await user.patch(ACTIONSGATEWAYS, "ci", released, namespace=api.namespace)
            await user.delete(ACTIONSGATEWAYS, "ci", namespace=api.namespace)


Story = Callable[[Tenant], Coroutine[Any, Any, None]]


@pytest.fixture
def tell(play: Play) -> Callable[[Story], None]:
    """Runs a story on the API server of the case."""

    def on_server(story: Story) -> None:
        async def scenario(api: Api) -> None:
            async with tenant_on(api) as tenant:
                await story(tenant)

        play(scenario)

    return on_server


def test_from_nothing_to_ready_takes_few_writes_and_one_event(tell: Callable[[Story], None]) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.create()
        await tenant.until_condition("Ready", "False", "AGCNotReady")
        await tenant.run(PROXY, 2)
        await tenant.run(AGENT, 1)
        await tenant.until_condition("Ready", "False", "CredentialNotYetChecked")
        await tenant.report(*group_conditions(ready=False))
        await tenant.until_condition("Ready", "False", "NoActiveSessions", GROUP)
        await tenant.report()
        found = await tenant.until_condition("Ready", "True", "AllAvailable")
        await tenant.until_event("Ready", "Normal")
        assert await tenant.events() == {"Ready"}
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        assert {entry["observedGeneration"] for entry in found["status"]["conditions"]} == {1}
        assert (found["status"]["proxyReadyReplicas"], found["status"]["activeSessions"]) == (2, 1)
        # The real server counts pod by pod, and has no node, which is worth telling, too.
        assert tenant.status_writes <= (10 if tenant.is_real else 5)

    tell(story)


def test_a_proxy_pool_that_fails_is_told_with_its_cause_and_so_is_its_return(tell: Callable[[Story], None]) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        await tenant.run(PROXY, 1)
        await tenant.until_condition("ProxyAvailable", "True", "ProxyReduced", "1 of at least 2")
        pulling = waiting("ImagePullBackOff", 'Back-off pulling image "envoy:none"')
        await tenant.run(PROXY, 0, **pulling)
        await tenant.until_condition("ProxyAvailable", "False", "ProxyNotReady", "ImagePullBackOff", "envoy:none")
        found = await tenant.until_condition("Ready", "False", "ProxyNotReady")
        assert found["status"]["proxyReadyReplicas"] == 0
        await tenant.until_event("ProxyNotReady")
        await tenant.run(PROXY, 2)
        await tenant.until_condition("Ready", "True")
        await tenant.until_event("ProxyReady", "Normal")

    tell(story)


def test_an_agent_in_a_crash_loop_is_told_with_how_it_ends(tell: Callable[[Story], None]) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
        await tenant.run(AGENT, 0, **waiting("CrashLoopBackOff", "back-off 10s", lastState=killed, restartCount=3))
        found = await tenant.until_condition("Ready", "False", "AGCNotReady", "OOMKilled (exit code 137)")
        credential = condition_of(found, "CredentialUnavailable")
        assert credential is not None
        assert credential["status"] == "Unknown"
        assert found["status"]["activeSessions"] == 0
        await tenant.until_event("AGCNotReady")
        await tenant.run(AGENT, 1)
        await tenant.until_condition("Ready", "True")

    tell(story)


@pytest.mark.real_only("nobody makes pods on the embedded server, so no quota refuses them")
def test_a_quota_that_admits_no_pod_is_named(tell: Callable[[Story], None]) -> None:
    async def story(tenant: Tenant) -> None:
        quota = {"metadata": {"name": "none", "namespace": tenant.namespace}, "spec": {"hard": {"pods": "0"}}}
        await tenant.user.create(RESOURCEQUOTAS, quota)
        await tenant.create()
        await tenant.until_condition("AGCAvailable", "False", "AGCNotReady", "exceeded quota: none")
        await tenant.until_condition("ProxyAvailable", "False", "ProxyNotReady", "exceeded quota: none")

    tell(story)


def test_a_pause_leaves_a_gateway_ready_and_containment_does_not(tell: Callable[[Story], None]) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        await tenant.change(spec={"paused": True})
        await tenant.until_condition("Paused", "True", "PausedBySpec")
        await tenant.until_event("PausedBySpec", "Normal")
        suspended = condition("Ready", "False", "Suspended")
        await tenant.report(suspended, _WORKS, activeSessions=0)
        await tenant.until_condition("Ready", "True", "", "spec.paused")
        await tenant.change(metadata={"annotations": {labels.CONTAINED: "INC-1"}})
        await tenant.until_condition("Ready", "False", "Contained")
        await tenant.until_event("Contained")
        await tenant.until(DEPLOYMENTS, AGENT, lambda found: found["spec"]["replicas"] == 0)
        await tenant.change(spec={"paused": False}, metadata={"annotations": {labels.CONTAINED: None}})
        await tenant.until_condition("Paused", "False", "NotPaused")
        await tenant.until_event("NotPaused", "Normal")
        await tenant.until(DEPLOYMENTS, AGENT, lambda found: found["spec"]["replicas"] == 1)
        await tenant.run(AGENT, 1)
        await tenant.report()
        await tenant.until_condition("Ready", "True", "AllAvailable")
        assert not await tenant.events() & {"NoActiveSessions", "Suspended"}

    tell(story)


def test_a_credential_problem_is_told_and_heals_by_itself(tell: Callable[[Story], None]) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        broken = condition("CredentialUnavailable", "True", "SecretFieldInvalid", message="privateKey is no RSA key.")
        await tenant.report(condition("Ready", "False", "NoActiveSessions"), broken, activeSessions=0)
        await tenant.until_condition("Ready", "False", "SecretFieldInvalid", "privateKey")
        await tenant.until_event("SecretFieldInvalid")
        await tenant.report()
        await tenant.until_condition("Ready", "True")
        await tenant.until_event("CredentialAvailable", "Normal")
        edited = condition("CredentialUnavailable", "True", "EditedSecretUnusable", message="privateKey is missing.")
        await tenant.report(_LISTENING, edited)
        found = await tenant.until_condition("CredentialUnavailable", "True", "EditedSecretUnusable", "privateKey")
        ready = condition_of(found, "Ready")
        assert ready is not None
        assert ready["status"] == "True"

    tell(story)


def test_problems_of_groups_are_folded_up_and_do_not_gate_ready(tell: Callable[[Story], None]) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        refused = condition("Degraded", "True", "WorkersRefused")
        limited = condition("RateLimited", "True", "SustainedRateLimit")
        await tenant.report(_LISTENING, _WORKS, refused, limited)
        await tenant.until_condition("RunnerGroupsDegraded", "True", "", f"{GROUP} Degraded/WorkersRefused")
        found = await tenant.until_condition("RateLimited", "True", "SustainedRateLimit", GROUP)
        ready = condition_of(found, "Ready")
        assert ready is not None
        assert ready["status"] == "True"
        await tenant.report()
        await tenant.until_condition("RunnerGroupsDegraded", "False")
        for reason in ("RunnerGroupsImpaired", "SustainedRateLimit"):
            await tenant.until_event(reason)
        for reason in ("AllRunnerGroupsHealthy", "WithinRateLimit"):
            await tenant.until_event(reason, "Normal")

    tell(story)


def test_ready_for_an_older_spec_is_not_ready_for_the_new_one(tell: Callable[[Story], None]) -> None:
    """As `kubectl wait` reads it: by the condition's observed generation."""

    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        await tenant.change(spec={"logLevel": "debug"})
        found = await tenant.until_condition("Ready", "False", "AGCNotReady")
        ready = condition_of(found, "Ready")
        assert ready is not None
        assert ready["observedGeneration"] == found["status"]["observedGeneration"] == 2
        rolled = found["status"]["observedGeneration"]
        await tenant.until(DEPLOYMENTS, AGENT, lambda one: has_level(one, "debug"))
        await tenant.run(AGENT, 1)
        found = await tenant.until_condition("Ready", "True")
        assert found["status"]["observedGeneration"] == rolled

    tell(story)


def has_level(deployment: Manifest, level: str) -> bool:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {"name": "LOG_LEVEL", "value": level} in container["env"]
