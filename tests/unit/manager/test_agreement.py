"""When a live object still is what was applied, and how what is left over gets removed."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from actions_gateway.api.names import AGENT, PROXY, WORKLOAD_POLICY
from actions_gateway.manager.gateway.agreement import agrees, must_replace, surplus_patch
from support import manager_objects as make

Manifest = dict[str, Any]
Change = Callable[[Manifest], Any]

DEPLOYMENT = ("Deployment", AGENT)
POLICY = ("NetworkPolicy", WORKLOAD_POLICY)
BINDING = ("RoleBinding", AGENT)
GROUP = ("RunnerGroup", "ci-cpu")
PROXIES = ("Deployment", PROXY)
SERVICE = ("Service", PROXY)
BUDGET = ("PodDisruptionBudget", PROXY)
AUTOSCALER = ("HorizontalPodAutoscaler", PROXY)


def after(key: tuple[str, str], change: Change) -> tuple[Manifest, Manifest]:
    """The desired object, and the live one after a change to it."""
    desired = make.children_of(make.gateway(agent={"resources": {"limits": {"cpu": "0.5"}}}))[key]
    live = copy.deepcopy(desired)
    if key == PROXIES:
        # What the manager applies leaves them to the autoscaler.
        del desired["spec"]["replicas"]
    change(live)
    return desired, live


def container(live: Manifest) -> Manifest:
    found: Manifest = live["spec"]["template"]["spec"]["containers"][0]
    return found


def defaulted(live: Manifest) -> None:
    """What an API server and a Deployment controller add."""
    live["spec"]["progressDeadlineSeconds"] = 600
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    container(live)["imagePullPolicy"] = "IfNotPresent"
    container(live)["livenessProbe"]["successThreshold"] = 1
    container(live)["resources"]["limits"]["cpu"] = "500m"


def assigned(live: Manifest) -> None:
    """What an API server assigns to a Service."""
    live["spec"] |= {
        "clusterIP": "10.96.0.7",
        "clusterIPs": ["10.96.0.7"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
    }


@pytest.mark.parametrize(
    ("key", "change"),
    [
        pytest.param(DEPLOYMENT, defaulted, id="server defaults and canonical quantities"),
        pytest.param(
            DEPLOYMENT,
            lambda live: live["spec"]["template"]["metadata"]["annotations"].update(
                {"kubectl.kubernetes.io/restartedAt": "2026-01-05T09:00:00Z"}
            ),
            id="kubectl rollout restart",
        ),
        pytest.param(
            DEPLOYMENT, lambda live: live["metadata"]["labels"].update({"team": "a"}), id="a label of someone else"
        ),
        pytest.param(POLICY, lambda live: live["spec"].pop("ingress"), id="an empty list that the server dropped"),
        pytest.param(GROUP, lambda live: live.update({"status": {"activeJobs": 3}}), id="the agent's status"),
        pytest.param(PROXIES, lambda live: live["spec"].update({"replicas": 9}), id="the autoscaler's replicas"),
        pytest.param(SERVICE, assigned, id="what a Service is assigned"),
        pytest.param(BUDGET, lambda live: live.update({"status": {"currentHealthy": 2}}), id="a budget's status"),
    ],
)
def test_additions_that_are_not_ours_agree(key: tuple[str, str], change: Change) -> None:
    desired, live = after(key, change)
    assert agrees(desired, live)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        pytest.param(DEPLOYMENT, lambda live: live["spec"].update({"replicas": 0}), id="scaled to zero"),
        pytest.param(DEPLOYMENT, lambda live: container(live).update({"image": "other"}), id="another image"),
        pytest.param(DEPLOYMENT, lambda live: container(live)["env"].pop(), id="a variable removed"),
        pytest.param(DEPLOYMENT, lambda live: container(live)["args"].append("--debug"), id="another argument"),
        pytest.param(
            DEPLOYMENT,
            lambda live: container(live)["resources"]["limits"].update({"cpu": "600m"}),
            id="another limit",
        ),
        pytest.param(
            DEPLOYMENT, lambda live: live["spec"]["template"]["spec"]["tolerations"].pop(), id="a toleration removed"
        ),
        pytest.param(DEPLOYMENT, lambda live: live["metadata"].pop("annotations"), id="the seal removed"),
        pytest.param(DEPLOYMENT, lambda live: live["metadata"].pop("ownerReferences"), id="the owner removed"),
        pytest.param(POLICY, lambda live: live["spec"].update({"ingress": [{}]}), id="an ingress rule added"),
        pytest.param(POLICY, lambda live: live["spec"]["egress"].append({}), id="an egress rule added"),
        pytest.param(
            POLICY,
            lambda live: live["spec"]["egress"][0].update({"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}),
            id="a peer added to a rule that has none",
        ),
        pytest.param(
            POLICY,
            lambda live: live["spec"]["podSelector"].update(
                {"matchExpressions": [{"key": "quiet", "operator": "Exists"}]}
            ),
            id="the selector narrowed",
        ),
        pytest.param(
            SERVICE,
            lambda live: live["spec"]["ports"].append({"name": "stats", "port": 8081, "protocol": "TCP"}),
            id="one more port",
        ),
        pytest.param(SERVICE, lambda live: live["spec"].update({"type": "NodePort"}), id="a way in from outside"),
        pytest.param(BUDGET, lambda live: live["spec"].update({"maxUnavailable": 0}), id="a drain held up"),
        pytest.param(
            BUDGET,
            lambda live: live["spec"]["selector"].update({"matchExpressions": [{"key": "a", "operator": "Exists"}]}),
            id="another budget's pods",
        ),
        pytest.param(AUTOSCALER, lambda live: live["spec"].update({"maxReplicas": 1}), id="another maximum"),
        pytest.param(AUTOSCALER, lambda live: live["spec"]["metrics"].append({"type": "Pods"}), id="another metric"),
        pytest.param(BINDING, lambda live: live["subjects"].append({"kind": "User", "name": "eve"}), id="a subject"),
        pytest.param(GROUP, lambda live: live["spec"].update({"maxListeners": 9}), id="another bound"),
        pytest.param(GROUP, lambda live: live["spec"].update({"maxWorkers": 99}), id="a bound the entry does not set"),
    ],
)
def test_drift_is_noticed(key: tuple[str, str], change: Change) -> None:
    desired, live = after(key, change)
    assert not agrees(desired, live)


def test_a_field_that_is_no_longer_wanted_is_noticed_by_the_seal() -> None:
    live = make.children_of(make.gateway(caBundleRef={"name": "company-ca"}))[DEPLOYMENT]
    assert not agrees(make.children_of(make.gateway())[DEPLOYMENT], live)


@pytest.mark.parametrize(
    ("key", "change", "expected"),
    [
        pytest.param(BINDING, lambda live: live["roleRef"].update({"name": "admin"}), True, id="another role"),
        pytest.param(
            DEPLOYMENT, lambda live: live["spec"]["selector"]["matchLabels"].update({"x": "y"}), True, id="selector"
        ),
        pytest.param(
            DEPLOYMENT,
            lambda live: live["spec"].update({"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}}),
            True,
            id="strategy",
        ),
        pytest.param(DEPLOYMENT, lambda live: live["spec"].update({"replicas": 0}), False, id="replicas"),
        pytest.param(
            PROXIES, lambda live: live["spec"].update({"strategy": {"type": "Recreate"}}), False, id="to Recreate"
        ),
        pytest.param(BUDGET, lambda live: live["spec"].update({"minAvailable": 2}), True, id="a budget of both kinds"),
        pytest.param(POLICY, lambda live: live["spec"].update({"ingress": [{}]}), False, id="a policy's rules"),
    ],
)
def test_only_what_cannot_be_changed_is_replaced(key: tuple[str, str], change: Change, expected: bool) -> None:
    desired, live = after(key, change)
    assert must_replace(desired, live) is expected


def test_a_group_is_freed_of_fields_that_its_entry_does_not_set() -> None:
    template = {"spec": {"nodeSelector": {"zone": "a"}}}
    owner = make.gateway(runnerGroups=[{"name": "cpu", "runnerLabels": ["linux"], "podTemplate": template}])
    desired = make.children_of(owner)[GROUP]
    live = copy.deepcopy(desired)
    live["spec"]["maxWorkers"] = 99
    live["spec"]["podTemplate"]["spec"]["hostNetwork"] = True
    assert surplus_patch(desired, live) == {
        "spec": {"maxWorkers": None, "podTemplate": {"spec": {"hostNetwork": None}}}
    }
    assert surplus_patch(desired, desired) is None


def test_other_peoples_additions_to_a_deployment_are_no_surplus() -> None:
    desired, live = after(DEPLOYMENT, defaulted)
    assert surplus_patch(desired, live) is None
