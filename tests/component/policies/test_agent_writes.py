"""What an agent may put into the Secrets and pods that its rights let it write."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actions_gateway.agent.jobs.pod import WorkerOrder, WorkerSite, build_worker_pod
from actions_gateway.agent.jobs.proof import prove
from actions_gateway.api import labels
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import (
    AGENT_CONFIGMAP_POLICY,
    AGENT_POD_POLICY,
    AGENT_SECRET_POLICY,
    RERUN_LEDGER,
    WORKER,
)
from actions_gateway.api.runnergroup import GroupSettings, RunnerGroupSpec
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.resources import CONFIGMAPS, PODS, SECRETS, SERVICEACCOUNTS
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import Callers, callers, refusal

BY_AGENT = {labels.MANAGED_BY: labels.BY_AGENT}
Act = Callable[[KubeClient, str, Callers], Awaitable[None]]


def as_agent(installed: ControlPlane, act: Act, **marks: str) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(**marks) as namespace, as_.agent(namespace) as agent:
            await as_.admin.create(SERVICEACCOUNTS, {"metadata": {"name": WORKER, "namespace": namespace}})
            await act(agent, namespace, as_)

    run(main())


# -- Secrets ---------------------------------------------------------------------------------------------------------


def secret(namespace: str, **changes: Any) -> Manifest:
    """The Secret of a job."""
    metadata = {"name": "job-0001", "namespace": namespace, "labels": BY_AGENT} | changes.pop("metadata", {})
    return {"metadata": metadata, "type": "Opaque", "data": {"state": "e30="}, **changes}


SECRETS_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a ServiceAccount's token": (
        {
            "type": "kubernetes.io/service-account-token",
            "metadata": {"annotations": {"kubernetes.io/service-account.name": "default"}},
        },
        "type: an agent's Secrets are Opaque",
    ),
    "a type of its own": ({"type": "example.com/mine"}, "type: an agent's Secrets are Opaque"),
    "no slot": ({"metadata": {"name": "github-app-v1"}}, "are named job-0001 to job-1024"),
    "slot 0": ({"metadata": {"name": "job-0000"}}, "are named job-0001 to job-1024"),
    "a slot too many": ({"metadata": {"name": "job-1025"}}, "are named job-0001 to job-1024"),
    "a longer name": ({"metadata": {"name": "job-00010"}}, "are named job-0001 to job-1024"),
    "no label": ({"metadata": {"labels": {}}}, f"carry {labels.MANAGED_BY}={labels.BY_AGENT}"),
}


@pytest.mark.parametrize("case", SECRETS_REFUSED)
def test_an_agent_makes_no_secret_with(case: str, installed: ControlPlane) -> None:
    changes, message = SECRETS_REFUSED[case]

    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        metadata = dict(changes.get("metadata", {}))
        said = await refusal(agent.create(SECRETS, secret(namespace, **{**changes, "metadata": metadata})))
        assert f"'{AGENT_SECRET_POLICY}'" in said
        assert message in said

    as_agent(installed, act)


@pytest.mark.parametrize("name", ["job-0001", "job-0999", "job-1000", "job-1024"])
def test_an_agent_makes_fills_and_deletes_the_secret_of_a_job(name: str, installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        await agent.create(SECRETS, secret(namespace, metadata={"name": name}))
        await agent.patch(SECRETS, name, {"data": {"payload": "e30="}}, namespace=namespace)
        await agent.delete(SECRETS, name, namespace=namespace)

    as_agent(installed, act)


def test_an_agent_neither_changes_nor_deletes_a_tenants_own_secret_that_is_named_like_a_slot(
    installed: ControlPlane,
) -> None:
    async def act(agent: KubeClient, namespace: str, as_: Callers) -> None:
        await as_.admin.create(SECRETS, secret(namespace, metadata={"labels": {"team": "a"}}))
        for change in ({"data": {"payload": "e30="}}, {"metadata": {"labels": BY_AGENT}}):
            said = await refusal(agent.patch(SECRETS, "job-0001", change, namespace=namespace))
            assert "changes and deletes only Secrets with the label" in said or "Secrets carry" in said
        said = await refusal(agent.delete(SECRETS, "job-0001", namespace=namespace))
        assert "an agent changes and deletes only Secrets with the label" in said

    as_agent(installed, act)


def test_an_agent_cannot_take_its_label_from_a_secret(installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        await agent.create(SECRETS, secret(namespace))
        relabel = {"metadata": {"labels": {labels.MANAGED_BY: "somebody"}}}
        assert "Secrets carry" in await refusal(agent.patch(SECRETS, "job-0001", relabel, namespace=namespace))

    as_agent(installed, act)


# -- ConfigMaps ------------------------------------------------------------------------------------------------------


def configmap(namespace: str, name: str = RERUN_LEDGER, **marks: str) -> Manifest:
    return {"metadata": {"name": name, "namespace": namespace, "labels": marks}, "data": {"1": "{}"}}


@pytest.mark.parametrize(
    ("name", "marks", "message"),
    [
        ("kube-root-ca.crt", BY_AGENT, f"an agent's only ConfigMap is {RERUN_LEDGER}"),
        (f"{RERUN_LEDGER}-2", BY_AGENT, f"an agent's only ConfigMap is {RERUN_LEDGER}"),
        (RERUN_LEDGER, {}, f"an agent's ConfigMaps carry {labels.MANAGED_BY}={labels.BY_AGENT}"),
    ],
    ids=["one that others read", "a longer name", "no label"],
)
def test_an_agent_makes_no_configmap_with(
    name: str, marks: dict[str, str], message: str, installed: ControlPlane
) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        said = await refusal(agent.create(CONFIGMAPS, configmap(namespace, name, **marks)))
        assert f"'{AGENT_CONFIGMAP_POLICY}'" in said
        assert message in said

    as_agent(installed, act)


def test_an_agent_makes_and_changes_its_ledger(installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        await agent.create(CONFIGMAPS, configmap(namespace, **BY_AGENT))
        await agent.get(CONFIGMAPS, RERUN_LEDGER, namespace)
        await agent.patch(CONFIGMAPS, RERUN_LEDGER, {"data": {"1": None, "2": "{}"}}, namespace=namespace)

    as_agent(installed, act)


def test_an_agent_takes_over_no_configmap_of_a_tenant_that_is_named_like_its_ledger(installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, as_: Callers) -> None:
        await as_.admin.create(CONFIGMAPS, configmap(namespace))
        patch = {"metadata": {"labels": BY_AGENT}}
        said = await refusal(agent.patch(CONFIGMAPS, RERUN_LEDGER, patch, namespace=namespace))
        assert "changes and deletes only ConfigMaps with the label" in said

    as_agent(installed, act)


# -- pods ------------------------------------------------------------------------------------------------------------


def worker(namespace: str, profile: SecurityProfile = SecurityProfile.BASELINE) -> Manifest:
    """A worker's pod as the agent makes it."""
    order = WorkerOrder(
        name="runner-ci-cpu-1",
        group="ci-cpu",
        group_uid="1",
        slot="job-0001",
        slot_uid="2",
        priority_class=None,
        annotations={},
    )
    site = WorkerSite(namespace, "controller:test", "runner:test", WORKER, profile)
    pod = build_worker_pod(order, RunnerGroupSpec(runner_labels=["self-hosted"]), site)
    # Its RunnerGroup is not there, and the garbage collector takes what has no living owner.
    del pod["metadata"]["ownerReferences"]
    return pod


def with_container_context(spec: Manifest, **context: Any) -> None:
    spec["containers"][0]["securityContext"] = context


def with_port(spec: Manifest, **port: Any) -> None:
    spec["containers"][0]["ports"] = [{"containerPort": 8080}, {"containerPort": 8081, **port}]


def with_volume(spec: Manifest, **volume: Any) -> None:
    spec["volumes"].append({"name": "more", **volume})


PODS_REFUSED: dict[str, tuple[Callable[[Manifest], object], str]] = {
    "another account": (
        lambda pod: pod["spec"].update(serviceAccountName="default"),
        "spec.serviceAccountName: an agent's pods run as actions-gateway-worker",
    ),
    "its own account": (
        lambda pod: pod["spec"].update(serviceAccountName="actions-gateway-controller"),
        "spec.serviceAccountName: an agent's pods run as actions-gateway-worker",
    ),
    "a token": (
        lambda pod: pod["spec"].update(automountServiceAccountToken=True),
        "spec.automountServiceAccountToken: an agent's pods get no token",
    ),
    "a token by default": (
        lambda pod: pod["spec"].pop("automountServiceAccountToken"),
        "spec.automountServiceAccountToken: an agent's pods get no token",
    ),
    "no mark of an agent": (
        lambda pod: pod["metadata"]["labels"].pop(labels.MANAGED_BY),
        f"metadata.labels: an agent's pods carry {labels.MANAGED_BY}={labels.BY_AGENT}",
    ),
    "no label that its network policy selects by": (
        lambda pod: pod["metadata"]["labels"].pop(labels.COMPONENT),
        "metadata.labels: an agent's pods carry actions-gateway/component=workload",
    ),
    "the agent's label, which opens the API server": (
        lambda pod: pod["metadata"]["labels"].update(app="actions-gateway-controller"),
        "metadata.labels: an agent's pods have no label app and of ours none but",
    ),
    "another of our labels": (
        lambda pod: pod["metadata"]["labels"].update({labels.OWNER_NAME: "somebody"}),
        "metadata.labels: an agent's pods have no label app and of ours none but",
    ),
    "the node's network": (lambda pod: pod["spec"].update(hostNetwork=True), "spec.hostNetwork"),
    "the node's processes": (lambda pod: pod["spec"].update(hostPID=True), "spec.hostPID"),
    "the node's memory": (lambda pod: pod["spec"].update(hostIPC=True), "spec.hostIPC"),
    "the node's files": (lambda pod: with_volume(pod["spec"], hostPath={"path": "/"}), "spec.volumes: hostPath"),
    "a port of the node": (
        lambda pod: with_port(pod["spec"], hostPort=8081),
        "spec.containers: hostPort would listen at the node's own address",
    ),
    "a node of its choice": (
        lambda pod: pod["spec"].update(nodeName="control-plane-1"),
        "spec.nodeName: it passes by the scheduler",
    ),
    "a priority of the system": (
        lambda pod: pod["spec"].update(priorityClassName="system-cluster-critical"),
        "spec.priorityClassName: a class system-* preempts every other pod",
    ),
    "a token that it asks for itself": (
        lambda pod: with_volume(pod["spec"], projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),
        "spec.volumes: workers get no token or certificate of the cluster",
    ),
    "privileges": (
        lambda pod: with_container_context(pod["spec"], privileged=True),
        "spec.containers: a privileged container needs the security profile privileged",
    ),
}


@pytest.mark.parametrize("case", PODS_REFUSED)
def test_an_agent_makes_no_pod_with(case: str, installed: ControlPlane) -> None:
    change, message = PODS_REFUSED[case]

    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        pod = worker(namespace)
        change(pod)
        said = await refusal(agent.create(PODS, pod, dry_run=True))
        assert f"'{AGENT_POD_POLICY}'" in said
        assert message in said

    as_agent(installed, act)


def test_an_agent_makes_informs_and_deletes_a_worker(installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        pod = await agent.create(PODS, worker(namespace))
        notice = {"metadata": {"annotations": {labels.CANCELLATION: "2026-01-05T08:00:00Z"}}}
        await agent.patch(PODS, pod["metadata"]["name"], notice, namespace=namespace)
        reason = {"metadata": {"annotations": {labels.DELETION_REASON: "cancelled"}}}
        await agent.patch(PODS, pod["metadata"]["name"], reason, namespace=namespace)
        await agent.delete(PODS, pod["metadata"]["name"], namespace=namespace)

    as_agent(installed, act)


def test_a_worker_may_carry_the_labels_that_a_clusters_webhooks_add(installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        pod = worker(namespace)
        pod["metadata"]["labels"]["mesh.example.com/injected"] = "yes"
        await agent.create(PODS, pod, dry_run=True)

    as_agent(installed, act)


def test_a_worker_may_have_ports_and_projected_volumes_of_its_own(installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        pod = worker(namespace)
        with_port(pod["spec"])
        sources = [{"configMap": {"name": "settings"}}, {"secret": {"name": "registry"}}]
        with_volume(pod["spec"], projected={"sources": sources})
        await agent.create(PODS, pod, dry_run=True)

    as_agent(installed, act)


def test_privileged_workers_go_where_the_platform_allows_them(installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        pod = worker(namespace, SecurityProfile.PRIVILEGED)
        with_container_context(pod["spec"], privileged=True)
        await agent.create(PODS, pod, dry_run=True)

    as_agent(installed, act, privileged="allowed")


POD_CHANGES: dict[str, Manifest] = {
    "another annotation": {"metadata": {"annotations": {labels.JOB_SLOT: "job-0002"}}},
    "an annotation taken away": {"metadata": {"annotations": {labels.JOB_SLOT: None}}},
    "a label": {"metadata": {"labels": {"app": "actions-gateway-controller"}}},
    "a finalizer": {"metadata": {"finalizers": ["example.com/hold"]}},
    "the deadline": {"spec": {"activeDeadlineSeconds": 5}},
}


@pytest.mark.parametrize("case", POD_CHANGES)
def test_of_a_worker_an_agent_does_not_change(case: str, installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        pod = await agent.create(PODS, worker(namespace))
        patch = agent.patch(PODS, pod["metadata"]["name"], POD_CHANGES[case], namespace=namespace)
        said = await refusal(patch)
        assert f"'{AGENT_POD_POLICY}'" in said
        assert (
            f"changes nothing of a pod but its annotations {labels.CANCELLATION} and {labels.DELETION_REASON}" in said
        )

    as_agent(installed, act)


def test_an_agent_leaves_a_tenants_other_pods_alone(installed: ControlPlane) -> None:
    async def act(agent: KubeClient, namespace: str, as_: Callers) -> None:
        pod = {
            "metadata": {"name": "database", "namespace": namespace},
            "spec": {"containers": [{"name": "main", "image": "postgres"}], "serviceAccountName": WORKER},
        }
        await as_.admin.create(PODS, pod)
        said = await refusal(agent.delete(PODS, "database", namespace=namespace))
        assert "an agent changes and deletes only pods with the label" in said
        notice = {"metadata": {"annotations": {labels.CANCELLATION: ""}}}
        said = await refusal(agent.patch(PODS, "database", notice, namespace=namespace))
        assert "an agent" in said

    as_agent(installed, act)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param({"initContainers": [{"name": "prepare", "image": "i"}]}, "", id="a worker"),
        pytest.param({"nodeName": "n"}, "spec.nodeName: it passes by the scheduler", id="a reserved field"),
    ],
)
def test_an_agent_may_ask_about_a_template_and_hears_the_policies_words(
    installed: ControlPlane, spec: dict[str, Any], said: str
) -> None:
    async def act(agent: KubeClient, namespace: str, _: Callers) -> None:
        settings = GroupSettings.model_validate({"runnerLabels": ["linux"], "podTemplate": {"spec": spec}})
        site = WorkerSite(namespace, "controller:1", "runner:1", WORKER, SecurityProfile.BASELINE)
        found = await prove(agent, settings, site, group="ci-cpu", group_uid="11111111-2222")
        assert said in found if said else found == ""

    as_agent(installed, act)
