"""What an API server's admission refuses from the moment at which a test goes on.

A real server's admission reads quotas, levels and the like from watches of its own, which may lag behind.
"""

from collections.abc import Mapping
from typing import Any

from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import Forbidden
from actions_gateway.kube.resources import CONFIGMAPS, PODS, RESOURCEQUOTAS, Resource
from support.aio import Looks

_PROBE = "probe"
_CONTAINERS = [{"name": "main", "image": "i"}]


async def limit(client: KubeClient, namespace: str, name: str, hard: Mapping[str, str]) -> None:
    """Makes a quota and waits until it is enforced.

    Events of a watch come in order: when the later quota of a probe is enforced, the earlier one is as well.
    """
    await _make(client, namespace, name, hard)
    await _make(client, namespace, _PROBE, {"count/configmaps": "0"})
    await _until_refused(client, namespace, CONFIGMAPS, {}, f"exceeded quota: {_PROBE}")
    await client.delete(RESOURCEQUOTAS, _PROBE, namespace=namespace)


async def until_pod_refused(client: KubeClient, namespace: str, words: str, **spec: Any) -> None:
    """Returns when a pod with this in its `spec` would be refused with these words."""
    await _until_refused(client, namespace, PODS, {"spec": {"containers": _CONTAINERS, **spec}}, words)


async def _make(client: KubeClient, namespace: str, name: str, hard: Mapping[str, str]) -> None:
    """The quota, once its controller has counted what is there: before that it limits nothing."""
    await client.create(RESOURCEQUOTAS, {"metadata": {"name": name}, "spec": {"hard": dict(hard)}}, namespace=namespace)
    looks = Looks()
    while True:
        status = (await client.get(RESOURCEQUOTAS, name, namespace)).get("status") or {}
        if status.get("used", {}).keys() == hard.keys():
            return
        await looks.pause()


async def _until_refused(
    client: KubeClient, namespace: str, resource: Resource, manifest: Mapping[str, Any], words: str
) -> None:
    looks = Looks()
    while True:
        try:
            probe = {"metadata": {"name": _PROBE}, **manifest}
            await client.create(resource, probe, namespace=namespace, dry_run=True)
        except Forbidden as problem:
            if words in problem.message:
                return
        await looks.pause()
