"""What the manager's Deployments are: agent and proxy, and nothing that somebody with its rights could make of them."""

from typing import Any

import pytest

from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.resources import DEPLOYMENTS
from gateway_sandbox.controlplane.server import ControlPlane
from support.installed import Callers, refusal

from .children import Change, as_manager, child, refuse_changed

WHO = {AGENT: "an agent", PROXY: "a proxy"}


def pod_of(deployment: Manifest) -> Any:
    return deployment["spec"]["template"]["spec"]


def with_container(deployment: Manifest, **fields: Any) -> None:
    pod_of(deployment)["containers"][0].update(fields)


def with_init_container(deployment: Manifest, **fields: Any) -> None:
    pod_of(deployment)["initContainers"] = [{"name": "first", "image": "busybox", **fields}]


def with_context(deployment: Manifest, **context: Any) -> None:
    with_container(deployment, securityContext=context)


def with_volume(deployment: Manifest, **volume: Any) -> None:
    pod_of(deployment).setdefault("volumes", []).append({"name": "more", **volume})


def with_env(deployment: Manifest, **source: Any) -> None:
    with_container(deployment, env=[{"name": "A", "valueFrom": source}])


SECRET_KEY = {"name": "argocd-secret", "key": "admin.password"}
FOREIGN_ENV = [{"name": "A", "valueFrom": {"secretKeyRef": SECRET_KEY}}]
NO_SECRET = "containers: an agent has no Secret in its environment"
NOTHING_READ = "containers: a proxy has no Secret or ConfigMap in its environment"
NOTHING_MOUNTED = "volumes: a proxy mounts nothing"
ALONE = "containers: a proxy is one container, proxy"
NO_TOKEN = "automountServiceAccountToken: a proxy has no token of the cluster"
ONLY_APP_KEYS = "volumes: of a Secret an agent mounts the items appId, installationId, privateKey alone"
ONLY_TWO_KINDS = "volumes: an agent mounts Secrets and ConfigMaps alone"

OF_BOTH: dict[str, tuple[Change, str]] = {
    "another account": (
        lambda m: pod_of(m).update(serviceAccountName="argocd-server"),
        "serviceAccountName: {who} runs as {name}",
    ),
    "the node's network": (lambda m: pod_of(m).update(hostNetwork=True), "hostNetwork: {rule}"),
    "the node's processes": (lambda m: pod_of(m).update(hostPID=True), "hostPID: {rule}"),
    "the node's memory": (lambda m: pod_of(m).update(hostIPC=True), "hostIPC: {rule}"),
    "a port of the node": (
        lambda m: with_container(m, ports=[{"containerPort": 1, "hostPort": 1}]),
        "containers: {rule}; hostPort",
    ),
    "a node of its choice": (lambda m: pod_of(m).update(nodeName="control-plane-1"), "nodeName: {rule}"),
    "a priority of the system": (
        lambda m: pod_of(m).update(priorityClassName="system-node-critical"),
        "priorityClassName: {rule}",
    ),
    "privileges": (lambda m: with_context(m, privileged=True), "containers: {rule}; a privileged"),
    "a capability": (
        lambda m: with_context(m, capabilities={"add": ["SYS_ADMIN"]}),
        "containers: {who} has no capabilities",
    ),
}
OF_AGENTS: dict[str, tuple[Change, str]] = {
    "the proxy's account": (
        lambda m: pod_of(m).update(serviceAccountName=PROXY),
        "serviceAccountName: an agent runs as",
    ),
    "privileges at first": (
        lambda m: with_init_container(m, securityContext={"privileged": True}),
        "containers: {rule}; a privileged",
    ),
    "the node's files": (lambda m: with_volume(m, hostPath={"path": "/"}), ONLY_TWO_KINDS),
    "a claim": (lambda m: with_volume(m, persistentVolumeClaim={"claimName": "data"}), ONLY_TWO_KINDS),
    "a projected Secret": (
        lambda m: with_volume(m, projected={"sources": [{"secret": {"name": "argocd-secret"}}]}),
        ONLY_TWO_KINDS,
    ),
    "a Secret with all its keys": (lambda m: with_volume(m, secret={"secretName": "argocd-secret"}), ONLY_APP_KEYS),
    "another key of a Secret": (
        lambda m: with_volume(m, secret={"secretName": "x", "items": [{"key": "admin.password", "path": "appId"}]}),
        ONLY_APP_KEYS,
    ),
    "a Secret in the environment": (lambda m: with_container(m, env=FOREIGN_ENV), NO_SECRET),
    "a Secret in the environment at first": (lambda m: with_init_container(m, env=FOREIGN_ENV), NO_SECRET),
    "all of a Secret in the environment": (
        lambda m: with_container(m, envFrom=[{"secretRef": {"name": "argocd-secret"}}]),
        NO_SECRET,
    ),
}
OF_PROXIES: dict[str, tuple[Change, str]] = {
    "the agent's account": (
        lambda m: pod_of(m).update(serviceAccountName=AGENT),
        "serviceAccountName: a proxy runs as",
    ),
    "a token": (lambda m: pod_of(m).update(automountServiceAccountToken=True), NO_TOKEN),
    "a token as the account has it": (lambda m: pod_of(m).pop("automountServiceAccountToken"), NO_TOKEN),
    "the App's key": (
        lambda m: with_volume(m, secret={"secretName": "x", "items": [{"key": "privateKey", "path": "privateKey"}]}),
        NOTHING_MOUNTED,
    ),
    "a ConfigMap": (lambda m: with_volume(m, configMap={"name": "x"}), NOTHING_MOUNTED),
    "a folder": (lambda m: with_volume(m, emptyDir={}), NOTHING_MOUNTED),
    "the node's files": (lambda m: with_volume(m, hostPath={"path": "/"}), NOTHING_MOUNTED),
    "a token in a volume": (
        lambda m: with_volume(m, projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),
        NOTHING_MOUNTED,
    ),
    "a Secret in the environment": (lambda m: with_env(m, secretKeyRef=SECRET_KEY), NOTHING_READ),
    "a ConfigMap in the environment": (lambda m: with_env(m, configMapKeyRef={"name": "x", "key": "y"}), NOTHING_READ),
    "all of a Secret in the environment": (
        lambda m: with_container(m, envFrom=[{"secretRef": {"name": "argocd-secret"}}]),
        NOTHING_READ,
    ),
    "all of a ConfigMap in the environment": (
        lambda m: with_container(m, envFrom=[{"configMapRef": {"name": "x"}}]),
        NOTHING_READ,
    ),
    "a container at first": (lambda m: with_init_container(m), ALONE),
    "a second container": (lambda m: pod_of(m)["containers"].append({"name": "more", "image": "busybox"}), ALONE),
    "another container": (lambda m: with_container(m, name="shell"), ALONE),
}
REFUSED = {
    **{(AGENT, case): OF_AGENTS[case] for case in OF_AGENTS},
    **{(PROXY, case): OF_PROXIES[case] for case in OF_PROXIES},
    **{(name, case): OF_BOTH[case] for name in WHO for case in OF_BOTH},
}


def message_of(name: str, case: str) -> str:
    rule = f"what no worker may, no {WHO[name].partition(' ')[2]} may"
    return f"spec.template.spec.{REFUSED[name, case][1]}".format(who=WHO[name], name=name, rule=rule)


@pytest.mark.parametrize(("name", "case"), REFUSED)
def test_the_manager_does_not_make_it_with(name: str, case: str, installed: ControlPlane) -> None:
    refuse_changed(installed, "Deployment", name, REFUSED[name, case][0], message_of(name, case))


@pytest.mark.parametrize(("name", "case"), REFUSED)
def test_the_manager_does_not_turn_it_into_one_with(name: str, case: str, installed: ControlPlane) -> None:
    async def act(manager: KubeClient, owner: Manifest, _: Callers) -> None:
        manifest = child("Deployment", owner, name)
        await manager.apply(DEPLOYMENTS, manifest, field_manager="gmc")
        REFUSED[name, case][0](manifest)
        said = await refusal(manager.apply(DEPLOYMENTS, manifest, field_manager="gmc"))
        assert message_of(name, case) in said

    as_manager(installed, act)


@pytest.mark.parametrize(("name", "other"), [(AGENT, PROXY), (PROXY, AGENT)])
def test_one_under_the_name_of_the_other_is_neither(name: str, other: str, installed: ControlPlane) -> None:
    def rename(manifest: Manifest) -> None:
        manifest["metadata"]["name"] = other

    refuse_changed(installed, "Deployment", name, rename, f"serviceAccountName: {WHO[other]} runs as {other}")
