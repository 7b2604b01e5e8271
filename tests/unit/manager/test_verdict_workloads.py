"""AGCAvailable and ProxyAvailable, and the causes that they name."""

from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import Condition, ConditionStatus, Reason
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.manager.gateway.snapshot import Refusal, Snapshot
from actions_gateway.manager.gateway.verdict.pods import pods_cause
from actions_gateway.manager.gateway.verdict.workloads import agent_condition, proxy_condition
from support import manager_objects as make

Manifest = dict[str, Any]


def waiting(reason: str, message: str = "", **container: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "proxy", "ready": False, "state": state, **container}]}


def ended(reason: str, code: int) -> dict[str, Any]:
    return {"terminated": {"reason": reason, "exitCode": code}}


def unschedulable(message: str) -> dict[str, Any]:
    entry = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [entry]}


def proxies(ready: int, *pods: Manifest, minimum: int = 2, **status: Any) -> Condition:
    owner = make.gateway(proxy={"minReplicas": minimum})
    children = make.with_proxy(make.children_of(owner), ready, **status)
    return proxy_condition(make.snapshot(owner, children=children, pods=pods), parse_gateway(owner))


@pytest.mark.parametrize(
    ("ready", "status", "reason"),
    [
        (0, "False", Reason.PROXY_NOT_READY),
        (1, "True", Reason.PROXY_REDUCED),
        (2, "True", Reason.PROXY_READY),
        (7, "True", Reason.PROXY_READY),
    ],
)
def test_the_proxy_is_available_with_one_that_is_ready(ready: int, status: str, reason: Reason) -> None:
    condition = proxies(ready)
    assert (condition.status, condition.reason) == (status, reason)


def test_autoscaling_does_not_reword_a_condition_that_is_fine() -> None:
    assert proxies(2) == proxies(9)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        pytest.param(
            waiting("ImagePullBackOff", 'Back-off pulling image "envoy:none"'),
            'container proxy: ImagePullBackOff: Back-off pulling image "envoy:none"',
            id="an image that is not there",
        ),
        pytest.param(
            waiting("CrashLoopBackOff", "back-off 40s restarting", lastState=ended("Error", 1), restartCount=4),
            "container proxy: CrashLoopBackOff, its last run ended with Error (exit code 1)",
            id="a crash loop, while it waits",
        ),
        pytest.param(
            {
                "containerStatuses": [
                    {"name": "proxy", "state": {"running": {}}, "lastState": ended("Error", 1), "restartCount": 4}
                ]
            },
            "container proxy: CrashLoopBackOff, its last run ended with Error (exit code 1)",
            id="a crash loop, while it runs, in the same words",
        ),
        pytest.param(
            {"containerStatuses": [{"name": "proxy", "state": {"running": {}}, "lastState": ended("OOMKilled", 137)}]},
            "container proxy: OOMKilled (exit code 137)",
            id="killed for memory, and started again",
        ),
        pytest.param(
            waiting("CreateContainerConfigError", 'configmap "ca" not found'),
            'container proxy: CreateContainerConfigError: configmap "ca" not found',
            id="a ConfigMap that is not there",
        ),
        pytest.param(
            unschedulable("0/3 nodes are available: 3 Insufficient cpu."),
            "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu",
            id="no node has room",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            "Evicted: The node was low on resource: memory",
            id="evicted",
        ),
        pytest.param(waiting("ContainerCreating"), "", id="starting"),
        pytest.param(
            {
                "containerStatuses": [
                    {"name": "proxy", "ready": True, "lastState": ended("Error", 1), "restartCount": 3}
                ]
            },
            "",
            id="up again",
        ),
        pytest.param(
            {"initContainerStatuses": [{"name": "init", "ready": False, "state": ended("Completed", 0)}]},
            "",
            id="an init container that is done",
        ),
    ],
)
def test_a_pod_tells_why_it_does_not_run(status: dict[str, Any], told: str) -> None:
    assert pods_cause([make.pod(PROXY, **status)]) == told
    assert (f"no ready pod: {told};" if told else "no ready pod;") in proxies(0, make.pod(PROXY, **status)).message


def test_the_newest_pod_that_says_something_counts_and_one_on_its_way_out_does_not() -> None:
    older = make.pod(PROXY, name="older", since="2026-01-05T08:00:00Z", **waiting("ErrImagePull", "old"))
    newer = make.pod(PROXY, name="newer", since="2026-01-05T08:10:00Z", **waiting("ErrImagePull", "new"))
    going = make.pod(PROXY, name="going", since="2026-01-05T08:20:00Z", **waiting("ErrImagePull", "going"))
    going["metadata"]["deletionTimestamp"] = "2026-01-05T08:30:00Z"
    silent = make.pod(PROXY, name="silent", since="2026-01-05T08:15:00Z")
    assert pods_cause([older, newer, going, silent]) == "ErrImagePull: new".join(["container proxy: ", ""])


def test_refused_pods_say_more_than_a_rollout_without_progress() -> None:
    stuck = {"type": "Progressing", "status": "False", "message": "has timed out progressing."}
    quota = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: compute."}
    assert "no ready pod: has timed out progressing;" in proxies(0, conditions=[stuck]).message
    assert "no ready pod: exceeded quota: compute;" in proxies(0, conditions=[stuck, quota]).message
    image = make.pod(PROXY, **waiting("ErrImagePull", "no such image"))
    assert "no ready pod: container proxy: ErrImagePull" in proxies(0, image, conditions=[stuck]).message


def test_the_proxies_pods_say_nothing_about_the_agent() -> None:
    image = make.pod(PROXY, **waiting("ErrImagePull", "no such image"))
    assert "ErrImagePull" not in agent_condition(make.snapshot(pods=(image,))).message
    agent = make.pod(AGENT, **waiting("ErrImagePull", "no such image"))
    assert "template: container proxy: ErrImagePull" in agent_condition(make.snapshot(pods=(agent,))).message


def contained() -> Snapshot:
    return make.snapshot(make.gateway(metadata={"annotations": {labels.CONTAINED: "2026-01-05"}}))


def test_a_contained_gateways_agent_is_not_missed() -> None:
    condition = agent_condition(contained())
    assert (condition.status, condition.reason) == (ConditionStatus.FALSE, Reason.CONTAINED)


def test_a_containment_that_ended_while_the_spec_was_invalid_is_told() -> None:
    children = make.children_of(make.gateway())
    children["Deployment", AGENT]["spec"]["replicas"] = 0
    condition = agent_condition(make.snapshot(children=children), Refusal(Reason.INVALID_SPEC, "spec.x: y"))
    assert "until the spec is corrected" in condition.message


def test_a_gateway_that_is_not_served_says_so_for_its_parts() -> None:
    refusal = Refusal(Reason.ANOTHER_GATEWAY, "served by the older one")
    snapshot = make.snapshot(children={})
    assert agent_condition(snapshot, refusal).reason is Reason.ANOTHER_GATEWAY
    assert proxy_condition(snapshot, None, refusal).reason is Reason.ANOTHER_GATEWAY
