"""What the node asks of the API server about one pod: each request is repeated until there is an answer."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import structlog

from actions_gateway.engine.clock import Clock
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, PatchType
from actions_gateway.kube.errors import Conflict, Invalid, KubeError, NotFound
from gateway_sandbox.nodes.ports import ANNOTATION

log = structlog.get_logger(__name__)

T = TypeVar("T")
_RETRY_SECONDS = 2.0


class PodRequests:
    """Requests guarded by the pod's uid: a successor of the same name is never touched."""

    def __init__(self, client: KubeClient, clock: Clock, pod: dict[str, Any]) -> None:
        self._client = client
        self._clock = clock
        self._namespace: str = pod["metadata"]["namespace"]
        self._name: str = pod["metadata"]["name"]
        self._uid: str = pod["metadata"]["uid"]
        self.is_pod_gone = False
        """Set by whoever learns of it; nothing is asked about a pod that is gone."""

    async def service_account(self, name: str) -> dict[str, Any] | None:
        """The service account, or None when it does not exist."""
        return await self._insist(lambda: self._client.get(r.SERVICEACCOUNTS, name, self._namespace))

    async def publish_ports(self, ports: Mapping[str, int]) -> None:
        """Writes the real ports to the pod's annotation."""
        annotations = {ANNOTATION: json.dumps(ports, sort_keys=True)}
        patch = {"metadata": {"uid": self._uid, "annotations": annotations}}
        await self._insist(lambda: self._client.patch(r.PODS, self._name, patch, namespace=self._namespace))

    async def write_status(self, status: dict[str, Any]) -> None:
        """Merges the status by the API's own rules, so that others' conditions stay."""
        patch = {"metadata": {"uid": self._uid}, "status": status}
        await self._insist(
            lambda: self._client.patch(
                r.PODS, self._name, patch, namespace=self._namespace, kind=PatchType.STRATEGIC, subresource="status"
            )
        )

    async def delete(self) -> None:
        """Removes the object for good: its processes have ended."""
        await self._insist(
            lambda: self._client.delete(
                r.PODS, self._name, namespace=self._namespace, uid=self._uid, grace_period_seconds=0
            )
        )

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """The answer of `call`; None when what it speaks of is gone, or when the server refuses the content."""
        while not self.is_pod_gone:
            try:
                return await call()
            except (NotFound, Conflict):
                return None
            except Invalid as problem:
                log.error("pod request refused", namespace=self._namespace, pod=self._name, problem=problem.message)
                return None
            except KubeError as problem:
                log.warning("pod request failed", namespace=self._namespace, pod=self._name, problem=problem.message)
                await self._clock.sleep(_RETRY_SECONDS)
        return None
