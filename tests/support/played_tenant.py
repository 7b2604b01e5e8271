"""One tenant's gateway under a running manager, on either API server; kubelets and agents are played.

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

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.engine.clock import SystemClock
from actions_gateway.engine.supervision import cancel_and_wait
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.resources import ACTIONSGATEWAYS, DEPLOYMENTS, EVENTS, PODS, RUNNERGROUPS, Resource
from actions_gateway.manager.gateway.controller import CONTROLLER, GatewayController
from actions_gateway.metrics.catalog import RECONCILE_TOTAL, Component
from actions_gateway.metrics.registry import Metrics
from support.aio import Looks
from support.apiserver import Api
from support.manager_objects import SETTINGS, gateway, group_conditions
from support.manager_rig import RecordingClient, condition_of, released

Manifest = dict[str, Any]

GROUP = "ci-cpu"
_LOOK_SECONDS = 0.02


class Tenant:
    """A namespace with one gateway `ci`, seen by somebody who may do everything."""

    def __init__(self, api: Api, user: KubeClient, client: RecordingClient, metrics: Metrics) -> None:
        self.is_real = api.is_real
        self.namespace = api.namespace
        self.user = user
        self.client = client
        self.metrics = metrics
        """The manager's."""

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
        deployment = await self.until(DEPLOYMENTS, app, lambda found: not self.is_real or is_made(found))
        pods = await self.pods(app, max(count, int(deployment["spec"].get("replicas", 1))))
        for number, name in enumerate(pods):
            ready = {"type": "Ready", "status": str(number < count)}
            await self.set_status(PODS, name, {"conditions": [ready]} | ({} if number < count else status))
        if not self.is_real:
            counts = dict.fromkeys(("readyReplicas", "availableReplicas", "updatedReplicas"), count)
            seen = {"observedGeneration": deployment["metadata"]["generation"], "replicas": len(pods)}
            await self.set_status(DEPLOYMENTS, app, seen | counts)

    async def report(self, *conditions: Manifest, **status: Any) -> None:
        """What the agent says of its group: all well by default."""
        await self.until(RUNNERGROUPS, GROUP)
        status = {"activeSessions": 1, "conditions": list(conditions) or group_conditions()} | status
        await self.set_status(RUNNERGROUPS, GROUP, status)

    async def change(self, **patch: Any) -> None:
        """A person's merge patch of the gateway."""
        await self.user.patch(ACTIONSGATEWAYS, "ci", patch, namespace=self.namespace)

    async def until(
        self, resource: Resource, name: str, holds: Callable[[Manifest], bool] = lambda _: True
    ) -> Manifest:
        looks = Looks()
        while True:
            found = [one for one in (await self.user.list(resource, self.namespace)).items if is_named(one, name)]
            if found and holds(found[0]):
                return found[0]
            await looks.pause()

    async def until_condition(self, kind: str, status: str, reason: str = "", *words: str) -> Manifest:
        """The gateway, once the condition is so and its message has the words."""

        def holds(found: Manifest) -> bool:
            entry = condition_of(found, kind) or {"status": "", "reason": "", "message": ""}
            is_so = entry["status"] == status and reason in ("", entry["reason"])
            return is_so and all(word in entry["message"] for word in words)

        return await self.until(ACTIONSGATEWAYS, "ci", holds)

    async def until_later_than(self, found: Manifest) -> None:
        """Returns in the first second after its condition Ready turned: conditions are stamped in whole seconds."""
        turned = (condition_of(found, "Ready") or {})["lastTransitionTime"]
        while f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}" <= turned:  # noqa: ASYNC110 - only time passes
            await asyncio.sleep(_LOOK_SECONDS)

    async def until_pass_ended(self) -> None:
        """Returns once the pass is over that wrote what was seen last: it tells its events after the status."""
        passes = self._passes
        await self.change(metadata={"annotations": {"note": f"after {passes:g} passes"}})
        looks = Looks()
        while self._passes == passes:
            await looks.pause()

    @property
    def _passes(self) -> float:
        return self.metrics.value(RECONCILE_TOTAL, controller=CONTROLLER, result="success") or 0

    async def until_event(self, reason: str, kind: str = "Warning") -> None:
        """Returns once the gateway has an event with that reason; it has the type `kind`."""
        looks = Looks()
        while True:
            if told := {entry["type"] for entry in await self._events() if entry["reason"] == reason}:
                assert told == {kind}
                return
            await looks.pause()

    async def events(self) -> set[str]:
        """The reasons of all events about the gateway."""
        return {entry["reason"] for entry in await self._events()}

    async def _events(self) -> list[Manifest]:
        found = (await self.user.list(EVENTS, self.namespace)).items
        return [entry for entry in found if entry["regarding"]["kind"] == ACTIONSGATEWAYS.kind]

    async def pods(self, app: str, count: int) -> list[str]:
        """The names of a Deployment's pods, once there are as many; on the embedded server they are made here."""
        looks = Looks()
        while True:
            pods = (await self.user.list(PODS, self.namespace, label_selector=f"{labels.APP}={app}")).items
            names = sorted(pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"])
            if len(names) >= count:
                return names
            if self.is_real:
                await looks.pause()
            else:
                metadata = {"name": f"{app}-{len(names)}", "namespace": self.namespace, "labels": {labels.APP: app}}
                spec = {"containers": [{"name": "main", "image": "none"}]}
                await self.user.create(PODS, {"metadata": metadata, "spec": spec})

    async def set_status(self, resource: Resource, name: str, status: Manifest) -> None:
        patch = {"status": status}
        await self.user.patch(resource, name, patch, namespace=self.namespace, subresource="status")


def is_made(deployment: Manifest) -> bool:
    """Whether its controller has made every pod of the current template, and ended those before."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    is_seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return bool(is_seen and status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted)


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
        async with api.client() as user, client, released(user, api.namespace), asyncio.TaskGroup() as group:
            metrics = Metrics(Component.MANAGER, "test")
            controller = GatewayController(
                SETTINGS, client=client, clock=SystemClock(), rng=random.Random(7), metrics=metrics
            )
            task = group.create_task(controller.run(), name="manager")
            yield Tenant(api, user, client, metrics)
            await cancel_and_wait(task)


Story = Callable[[Tenant], Coroutine[Any, Any, None]]
Tell = Callable[[Story], None]
"""Runs a story on the API server of the case."""
