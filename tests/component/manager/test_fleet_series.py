"""The fleet's series through a running manager: what its watches bring is counted, shown, and ends with the gateway."""

from typing import Any

import pytest

from actions_gateway.api.names import AGENT, AGENT_CONTAINER, PROXY
from actions_gateway.kube.resources import ACTIONSGATEWAYS, CONFIGMAPS, HPAS, PODS, RESOURCEQUOTAS, RUNNERGROUPS
from actions_gateway.metrics.catalog import (
    AGENT_TERMINATIONS,
    EXPECTED_PROXIES,
    GATEWAYS_CREATED,
    GATEWAYS_DELETED,
    MANAGED_GATEWAYS,
    PROXY_HPA_METRIC_AVAILABLE,
    PROXY_READY_REPLICAS,
    QUOTA_HARD,
    QUOTA_USED,
    Metric,
)
from support.aio import until
from support.manager_objects import condition, gateway, group_conditions
from support.played_tenant import GROUP, Tell, Tenant

_QUOTA = "few"


async def until_value(tenant: Tenant, metric: Metric, value: float | None, **labels: str) -> None:
    await until(lambda: tenant.metrics.value(metric, **labels) == value)


async def end_agent(tenant: Tenant, restarts: int, **state: Any) -> None:
    """The kubelet's word on the agent's container."""
    (name,) = await tenant.pods(AGENT, 1)
    entry = {"name": AGENT_CONTAINER, "ready": False, "restartCount": restarts, "image": "none", "imageID": ""}
    await tenant.set_status(PODS, name, {"containerStatuses": [entry | state]})


@pytest.mark.embedded_only("what the manager counts")
def test_ends_of_an_agents_container_are_counted_once_each_by_reason(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        place = {"namespace": tenant.namespace}
        await tenant.become_ready()
        await until_value(tenant, AGENT_TERMINATIONS, 0, **place, reason="OOMKilled")
        killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
        await end_agent(tenant, 0, state=killed)
        await until_value(tenant, AGENT_TERMINATIONS, 1, **place, reason="OOMKilled")
        # Started again it is the same end still, and the next one another.
        await end_agent(tenant, 1, state={"running": {}}, lastState=killed)
        await end_agent(tenant, 1, state={"terminated": {"reason": "Error", "exitCode": 1}}, lastState=killed)
        await until_value(tenant, AGENT_TERMINATIONS, 1, **place, reason="Error")
        assert tenant.metrics.value(AGENT_TERMINATIONS, **place, reason="OOMKilled") == 1

    tell(story)


@pytest.mark.embedded_only("what the manager counts")
def test_gateways_that_come_and_go_are_counted_and_take_their_series_along(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        metrics, place = tenant.metrics, f'namespace="{tenant.namespace}"'.encode()
        # What the first full list brings is no news.
        await until(lambda: metrics.value(MANAGED_GATEWAYS) is not None)
        created, deleted = (metrics.value(metric) or 0 for metric in (GATEWAYS_CREATED, GATEWAYS_DELETED))
        await tenant.become_ready()
        await until(lambda: place in metrics.render())
        manifest = gateway() | {"metadata": {"name": "second", "namespace": tenant.namespace}}
        # The namespace has one, so that nobody keeps the second.
        await tenant.user.create(ACTIONSGATEWAYS, manifest)
        await until_value(tenant, GATEWAYS_CREATED, created + 2)
        await tenant.user.delete(ACTIONSGATEWAYS, "second", namespace=tenant.namespace)
        await until(lambda: (metrics.value(GATEWAYS_DELETED) or 0) > deleted)
        await tenant.user.delete(ACTIONSGATEWAYS, "ci", namespace=tenant.namespace)
        group = await tenant.until(RUNNERGROUPS, GROUP, lambda found: found["spec"].get("suspended") is True)
        seen = {"observedGeneration": group["metadata"]["generation"], "conditions": group_conditions()}
        await tenant.set_status(RUNNERGROUPS, GROUP, seen | {"registrations": 0})
        await until(lambda: place not in metrics.render())
        # Counted when the watch tells of it. Others' ends of earlier cases are counted on a shared server, too.
        await until(lambda: (metrics.value(GATEWAYS_DELETED) or 0) - deleted >= 2)
        assert tenant.is_real or (metrics.value(GATEWAYS_DELETED), metrics.value(MANAGED_GATEWAYS)) == (2, 0)

    tell(story)


def test_a_quotas_series_follow_it_and_end_with_it(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        series = {"namespace": tenant.namespace, "quota": _QUOTA, "key": "configmaps"}
        quota = {"metadata": {"name": _QUOTA, "namespace": tenant.namespace}, "spec": {"hard": {"configmaps": "1k"}}}
        await tenant.user.create(RESOURCEQUOTAS, quota)
        used = await until_counted(tenant, more_than=-1)
        await until_value(tenant, QUOTA_HARD, 1000, **series)
        await until_value(tenant, QUOTA_USED, used, **series)
        # What is used moves with every job, and wants no look at the gateway.
        await tenant.user.create(CONFIGMAPS, {"metadata": {"name": "one-more", "namespace": tenant.namespace}})
        await until_value(tenant, QUOTA_USED, await until_counted(tenant, more_than=used), **series)
        await tenant.user.delete(RESOURCEQUOTAS, _QUOTA, namespace=tenant.namespace)
        await until_value(tenant, QUOTA_HARD, None, **series)
        await until_value(tenant, QUOTA_USED, None, **series)

    tell(story)


async def until_counted(tenant: Tenant, more_than: float) -> float:
    """What is used, once it is more: counted by the real cluster's controller, else by the test."""
    if not tenant.is_real:
        status = {"hard": {"configmaps": "1k"}, "used": {"configmaps": str(int(more_than) + 1)}}
        await tenant.set_status(RESOURCEQUOTAS, _QUOTA, status)

    def used(found: dict[str, Any]) -> float:
        return float(((found.get("status") or {}).get("used") or {}).get("configmaps", -1))

    return used(await tenant.until(RESOURCEQUOTAS, _QUOTA, lambda found: used(found) > more_than))


def test_proxies_and_the_reading_of_their_autoscaler_are_shown(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        mine = {"namespace": tenant.namespace, "name": "ci"}
        await tenant.become_ready()
        await until_value(tenant, EXPECTED_PROXIES, 2, **mine)
        await until_value(tenant, PROXY_READY_REPLICAS, 2, **mine)
        await tenant.run(PROXY, 1)
        await until_value(tenant, PROXY_READY_REPLICAS, 1, **mine)
        if not tenant.is_real:
            # The real cluster's autoscaler says so by itself: nothing serves its metrics here.
            await until_value(tenant, PROXY_HPA_METRIC_AVAILABLE, 1, **mine)
            blind = [condition("ScalingActive", "False", "FailedGetResourceMetric")]
            await tenant.set_status(HPAS, PROXY, {"conditions": blind})
        await until_value(tenant, PROXY_HPA_METRIC_AVAILABLE, 0, **mine)
        assert tenant.metrics.value(EXPECTED_PROXIES, **mine) == 2

    tell(story)
