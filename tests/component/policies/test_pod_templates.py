"""What a tenant may write into a worker's pod template, in an ActionsGateway and in a RunnerGroup."""

from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import POD_TEMPLATE_POLICY
from actions_gateway.kube.resources import ACTIONSGATEWAYS, RUNNERGROUPS
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import callers, gateway_in, group_in, refusal

Template = dict[str, Any]

PRIVILEGED = {"name": "runner", "securityContext": {"privileged": True}}
CONFIGURATION = {"configMap": {"name": "settings"}}
TOKEN = {"serviceAccountToken": {"path": "token", "audience": "vault"}}
CERTIFICATE = {"podCertificate": {"signerName": "example.com/pods", "keyType": "ED25519"}}
SIDECAR = {"name": "db", "ports": [{"containerPort": 5432}, {"containerPort": 1, "hostPort": 0}]}
ROOTS = {"clusterTrustBundle": {"name": "roots", "path": "roots.pem"}}

RESERVED: dict[str, tuple[Template, str]] = {
    "the node's network": ({"spec": {"hostNetwork": True}}, ".spec.hostNetwork: a worker does not share"),
    "the node's processes": ({"spec": {"hostPID": True}}, ".spec.hostPID: a worker does not share"),
    "the node's memory": ({"spec": {"hostIPC": True}}, ".spec.hostIPC: a worker does not share"),
    "the node's files": (
        {"spec": {"volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "root", "hostPath": {"path": "/"}}]}},
        ".spec.volumes: hostPath would give a job the node's files; use emptyDir",
    ),
    "a port of the node": (
        {
            "spec": {
                "containers": [{"name": "db", "ports": [{"containerPort": 1}, {"containerPort": 2, "hostPort": 2}]}]
            }
        },
        ".spec.containers: hostPort would listen at the node's own address; remove it",
    ),
    "a port of the node for an init container": (
        {"spec": {"initContainers": [{"name": "db", "ports": [{"containerPort": 2, "hostPort": 2}]}]}},
        ".spec.containers: hostPort would listen at the node's own address; remove it",
    ),
    "a node of its choice": (
        {"spec": {"nodeName": "control-plane-1"}},
        ".spec.nodeName: it passes by the scheduler and the taints of the node; use nodeSelector",
    ),
    "a priority of the system": (
        {"spec": {"priorityClassName": "system-node-critical"}},
        ".spec.priorityClassName: a class system-* preempts every other pod of the cluster; name one of the platform's",
    ),
    "a token that it asks for itself": (
        {"spec": {"volumes": [{"name": "a", "projected": {"sources": [CONFIGURATION, TOKEN]}}]}},
        ".spec.volumes: workers get no token or certificate of the cluster; remove the projected serviceAccountToken",
    ),
    "a certificate that it asks for itself": (
        {"spec": {"volumes": [{"name": "a", "projected": {"sources": [CERTIFICATE]}}]}},
        ".spec.volumes: workers get no token or certificate of the cluster; remove the projected serviceAccountToken",
    ),
    "another account": (
        {"spec": {"serviceAccountName": "deployer"}},
        ".spec.serviceAccountName: workers run as actions-gateway-worker",
    ),
    "another account by its old name": (
        {"spec": {"serviceAccount": "deployer"}},
        ".spec.serviceAccountName: workers run as actions-gateway-worker",
    ),
    "a token": (
        {"spec": {"automountServiceAccountToken": True}},
        ".spec.automountServiceAccountToken: workers get no token",
    ),
    "the gateway's labels": (
        {"metadata": {"labels": {labels.RUNNER_GROUP: "other"}}},
        ".metadata.labels: keys under actions-gateway/ and actions-gateway.github.com/ are the gateway's own",
    ),
    "the group's labels": (
        {"metadata": {"labels": {labels.TENANT: "true"}}},
        ".metadata.labels: keys under actions-gateway/ and actions-gateway.github.com/ are the gateway's own",
    ),
    "a privileged container": (
        {"spec": {"containers": [PRIVILEGED]}},
        ".spec.containers: a privileged container needs the security profile privileged",
    ),
    "a privileged init container": (
        {"spec": {"initContainers": [{"name": "a"}, PRIVILEGED]}},
        ".spec.containers: a privileged container needs the security profile privileged",
    ),
}

ALLOWED: dict[str, Template] = {
    "nothing": {},
    "a usual template": {
        "metadata": {"labels": {"team": "a"}, "annotations": {"karpenter.sh/do-not-disrupt": "false"}},
        "spec": {
            "serviceAccountName": "actions-gateway-worker",
            "automountServiceAccountToken": False,
            "hostNetwork": False,
            "containers": [{"name": "runner", "securityContext": {"privileged": False, "runAsUser": 1001}}, SIDECAR],
            "initContainers": [{"name": "fetch", "image": "busybox"}],
            "volumes": [
                {"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}},
                {"name": "roots", "projected": {"sources": [CONFIGURATION, ROOTS]}},
            ],
            "nodeSelector": {"gpu": "yes"},
            "priorityClassName": "ci-system-tests",
        },
    },
    # Free-form, so anything may be in it: the agent says in a condition what it cannot build from.
    "values of other types": {
        "metadata": {"labels": None},
        "spec": {"volumes": None, "containers": "none", "hostNetwork": "no", "initContainers": [None, "x"]},
    },
    "nulls": {
        "spec": {
            "nodeName": None,
            "priorityClassName": None,
            "containers": [{"name": "a", "ports": None}, {"name": "b", "ports": [None, {"hostPort": None}]}],
            "volumes": [{"name": "a", "projected": None}, {"name": "b", "projected": {"sources": [None]}}],
        }
    },
}


@pytest.mark.parametrize("case", RESERVED)
def test_a_gateways_template_may_not_have(case: str, installed: ControlPlane) -> None:
    template, message = RESERVED[case]

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            groups = [
                {"name": "plain", "runnerLabels": ["a"]},
                {"name": "gpu", "runnerLabels": ["b"], "podTemplate": template},
            ]
            gateway = gateway_in(namespace, runnerGroups=groups)
            said = await refusal(as_.admin.create(ACTIONSGATEWAYS, gateway, dry_run=True))
            assert f"'{POD_TEMPLATE_POLICY}'" in said
            assert f"spec.runnerGroups[gpu].podTemplate{message}" in said

    run(main())


@pytest.mark.parametrize("case", RESERVED)
def test_a_runner_groups_template_may_not_have(case: str, installed: ControlPlane) -> None:
    template, message = RESERVED[case]

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            group = group_in(namespace, podTemplate=template)
            said = await refusal(as_.admin.create(RUNNERGROUPS, group, dry_run=True))
            assert f"'{POD_TEMPLATE_POLICY}'" in said
            assert f"denied request: spec.podTemplate{message}" in said

    run(main())


@pytest.mark.parametrize("case", ALLOWED)
def test_a_template_may_have(case: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            groups = [{"name": "cpu", "runnerLabels": ["a"], "podTemplate": ALLOWED[case]}]
            await as_.admin.create(ACTIONSGATEWAYS, gateway_in(namespace, runnerGroups=groups), dry_run=True)
            await as_.admin.create(RUNNERGROUPS, group_in(namespace, podTemplate=ALLOWED[case]), dry_run=True)

    run(main())


def test_a_template_is_judged_on_updates_of_the_spec_too(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            await as_.admin.create(RUNNERGROUPS, group_in(namespace))
            patch = {"spec": {"podTemplate": {"spec": {"hostPID": True}}}}
            said = await refusal(as_.admin.patch(RUNNERGROUPS, "ci-cpu", patch, namespace=namespace, dry_run=True))
            assert "spec.podTemplate.spec.hostPID" in said
            await as_.admin.patch(
                RUNNERGROUPS, "ci-cpu", {"metadata": {"annotations": {"a": "b"}}}, namespace=namespace
            )

    run(main())


def test_privileged_containers_go_with_the_profile_and_in_groups_with_the_platforms_label(
    installed: ControlPlane,
) -> None:
    template = {"spec": {"containers": [PRIVILEGED]}}

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(privileged="allowed") as namespace:
            groups = [{"name": "cpu", "runnerLabels": ["a"], "podTemplate": template}]
            gateway = gateway_in(namespace, runnerGroups=groups, securityProfile="privileged")
            await as_.admin.create(ACTIONSGATEWAYS, gateway, dry_run=True)
            await as_.admin.create(RUNNERGROUPS, group_in(namespace, podTemplate=template), dry_run=True)
            gateway["spec"]["securityProfile"] = "baseline"
            assert "a privileged container needs" in await refusal(
                as_.admin.create(ACTIONSGATEWAYS, gateway, dry_run=True)
            )

    run(main())


def tiers(*classes: str) -> list[dict[str, Any]]:
    """Priority tiers in the order of their classes."""
    return [{"threshold": number, "priorityClassName": name} for number, name in enumerate(classes, start=1)]


def test_a_priority_tier_names_no_class_of_the_system(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            groups = [
                {"name": "plain", "runnerLabels": ["a"]},
                {"name": "gpu", "runnerLabels": ["b"], "priorityTiers": tiers("usual", "system-cluster-critical")},
            ]
            gateway = gateway_in(namespace, runnerGroups=groups)
            said = await refusal(as_.admin.create(ACTIONSGATEWAYS, gateway, dry_run=True))
            assert "spec.runnerGroups[gpu].priorityTiers: a class system-* preempts every other pod" in said
            group = group_in(namespace, priorityTiers=tiers("system-node-critical"))
            said = await refusal(as_.admin.create(RUNNERGROUPS, group, dry_run=True))
            assert "denied request: spec.priorityTiers: a class system-* preempts every other pod" in said

    run(main())


def test_priority_tiers_name_any_class_of_the_platforms(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            groups = [{"name": "gpu", "runnerLabels": ["b"], "priorityTiers": tiers("usual", "file-system-tests")}]
            await as_.admin.create(ACTIONSGATEWAYS, gateway_in(namespace, runnerGroups=groups), dry_run=True)
            await as_.admin.create(RUNNERGROUPS, group_in(namespace, priorityTiers=tiers("usual")), dry_run=True)

    run(main())
