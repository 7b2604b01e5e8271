"""How each fault of a sandbox is brought about: pure functions from what is there to the steps that change it.

A cause lasts until it is taken back: nothing in the system repairs it.
"""

import base64
from collections.abc import Sequence
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from actions_gateway.api.names import AGENT, MANAGER, MANAGER_NAMESPACE, PROXY
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import Manifest
from gateway_sandbox.apiserver.patches import merge_patch
from gateway_sandbox.drills.github_steps import Misbehave, Permit, StartRun
from gateway_sandbox.drills.model import METRICS_API, Snapshot, runner_prefix
from gateway_sandbox.drills.monitoring_steps import Uncount
from gateway_sandbox.drills.site import CannotInject
from gateway_sandbox.drills.steps import (
    Afterwards,
    AwaitGroups,
    Create,
    Delete,
    DeletePods,
    Patch,
    Refill,
    Step,
    Target,
    recreatable,
)
from gateway_sandbox.metricsapi.registration import APISERVICES
from gateway_sandbox.nodes.drills import EVICT, NO_METRICS, OOM

WRONG_KEY_SECRET = "github-app-rotated"
QUOTA = "platform-quota"
ABSENT_IMAGE = "registry.invalid/runners/ci:1.0"
ABSENT_LABEL = "no-such-label"
ABSENT_NODES = {"pool": "decommissioned"}
FOREIGN_FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
LOST_FIELD = "pendingPodDeadline"
"""Of RunnerGroup's spec: what has its default comes back with the definition."""
GROUPS_CRD = f"{r.RUNNERGROUPS.plural}.{r.RUNNERGROUPS.group}"
_INSTALLATION = 1
_RESTART_AFTERWARDS = Afterwards(DeletePods(AGENT))
"""An agent that was refused keeps away for as long as GitHub, or its own back-off, says: up to an hour."""
_LONG_JOB = "sleep 3600"
_GITHUB_OFFSET_SECONDS = -900.0
"""Far more than what a signed request tolerates."""


# -- credentials -----------------------------------------------------------------------------------------------------


def wrong_key(now: Snapshot) -> Sequence[Step]:
    secret = recreatable(_secret(now))
    secret["metadata"] = {"name": WRONG_KEY_SECRET, "namespace": now.namespace}
    secret["data"] = secret["data"] | {"privateKey": base64.b64encode(_private_key()).decode()}
    return Create(secret), _patch_gateway(now, {"gitHubAppRef": {"name": WRONG_KEY_SECRET}})


def missing_secret(now: Snapshot) -> Sequence[Step]:
    name = _secret(now)["metadata"]["name"]
    return Delete(Target.of(r.SECRETS, name, now.namespace)), DeletePods(AGENT, now.namespace)


def missing_permission(now: Snapshot) -> Sequence[Step]:
    lost = ("administration", "organization_self_hosted_runners")
    return _RESTART_AFTERWARDS, Permit(_INSTALLATION, removed=lost), DeletePods(AGENT)


# -- components ------------------------------------------------------------------------------------------------------


def agent_down(now: Snapshot) -> Sequence[Step]:
    reference = now.gateway["spec"].get("caBundleRef")
    if not reference:
        raise CannotInject(f"{now.namespace} has no caBundleRef", "Inject it into a tenant of `gw tenant add` here.")
    return Delete(Target.of(r.CONFIGMAPS, reference["name"], now.namespace)), DeletePods(AGENT, now.namespace)


def manager_down(now: Snapshot) -> Sequence[Step]:
    if now.manager is None:
        raise CannotInject("no manager is installed", "Install Actions Gateway with `gw install`.")
    return (Patch(Target.of(r.DEPLOYMENTS, MANAGER, MANAGER_NAMESPACE), {"spec": {"replicas": 0}}),)


def proxy_down(now: Snapshot) -> Sequence[Step]:
    others = len(_living(now)) - len(now.pods_of(PROXY))
    refilled = Afterwards(Refill(PROXY, now.gateway["metadata"]["namespace"]))
    return refilled, _quota(now, others), DeletePods(PROXY, now.namespace)


def hpa_unknown(now: Snapshot) -> Sequence[Step]:
    if now.metrics_api is not None:
        return (Delete(Target.of(APISERVICES, METRICS_API)),)
    if not now.autoscalers:
        raise CannotInject("no autoscaler is there", "Add a tenant with `gw tenant add`.")
    # The embedded cluster has no such API: its autoscaling controller reads from the node itself.
    return _annotate_nodes(now, NO_METRICS)


# -- GitHub ----------------------------------------------------------------------------------------------------------


def deaf_listener(now: Snapshot) -> Sequence[Step]:
    steps: list[Step] = []
    for group in now.groups:
        runners = {"runner": f"{runner_prefix(group)}*"}
        title = f"deaf listener of {group['metadata']['namespace']}/{group['metadata']['name']}"
        steps += [
            Misbehave(title, {"preset": "poll-black-hole", "match": runners}),
            # The open polls end at once: otherwise each would bring one more good answer, up to 50 s from now.
            Misbehave(f"{title}: its sessions end", {"preset": "sessions-dropped", "match": runners}),
        ]
    return steps


def rate_limit(now: Snapshot) -> Sequence[Step]:
    spent = {"budget_spent": 5000}
    return (
        _RESTART_AFTERWARDS,
        Misbehave(BUDGET, {"action": "tune", "settings": spent}),
        # Runners serve once: what is used up has to be registered anew, which is what the limit refuses.
        Misbehave(f"{BUDGET}: registrations end", {"preset": "record-deleted"}),
    )


BUDGET = "the hour's budget is used up by somebody else"
OUTAGE = "GitHub does not answer"
CLOCK = "GitHub's clock is behind"


def github_unreachable(now: Snapshot) -> Sequence[Step]:
    return (
        _RESTART_AFTERWARDS,
        Misbehave(OUTAGE, {"preset": "github-outage"}),
        Misbehave(f"{OUTAGE}: sessions end", {"preset": "sessions-dropped"}),
    )


def clock_skew(now: Snapshot) -> Sequence[Step]:
    offset = {"clock_offset_seconds": _GITHUB_OFFSET_SECONDS}
    return (
        _RESTART_AFTERWARDS,
        Misbehave(CLOCK, {"action": "tune", "settings": offset}),
        DeletePods(AGENT),
    )


# -- jobs and workers ------------------------------------------------------------------------------------------------


def quota_full(now: Snapshot) -> Sequence[Step]:
    return _quota(now, len(_living(now))), _run(now)


def unschedulable(now: Snapshot) -> Sequence[Step]:
    template = {"spec": {"nodeSelector": ABSENT_NODES}}
    groups = [group | {"podTemplate": merge_patch(group.get("podTemplate") or {}, template)} for group in _entries(now)]
    return *_change_groups(now, groups, "podTemplate"), _run(now)


def missing_image(now: Snapshot) -> Sequence[Step]:
    groups = [group | {"workerImage": ABSENT_IMAGE} for group in _entries(now)]
    return *_change_groups(now, groups, "workerImage"), _run(now)


def eviction_loop(now: Snapshot) -> Sequence[Step]:
    return _uncounted(now), *_annotate_nodes(now, f"{EVICT}/{now.namespace}"), _run(now)


def worker_oom(now: Snapshot) -> Sequence[Step]:
    return _uncounted(now), *_annotate_nodes(now, f"{OOM}/{now.namespace}"), _run(now)


def label_unserved(now: Snapshot) -> Sequence[Step]:
    return (StartRun(("self-hosted", ABSENT_LABEL), _LONG_JOB, _repository(now)),)


# -- objects ---------------------------------------------------------------------------------------------------------


def old_crd(now: Snapshot) -> Sequence[Step]:
    definition = groups_definition(now)
    if definition is None:
        raise CannotInject("the definitions are not installed", "Install Actions Gateway with `gw install`.")
    (version,) = recreatable(definition)["spec"]["versions"]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop(LOST_FIELD, None)
    return (Patch(Target.of(r.CRDS, GROUPS_CRD), {"spec": {"versions": [version]}}),)


def groups_definition(now: Snapshot) -> Manifest | None:
    return next((one for one in now.definitions if one["metadata"]["name"] == GROUPS_CRD), None)


def stuck_deletion(now: Snapshot) -> Sequence[Step]:
    service = next((one for one in now.services if one["metadata"]["name"] == PROXY), None)
    if service is None:
        raise CannotInject(f"{now.namespace} has no proxy", "Wait until the tenant is Ready.")
    held = [*(service["metadata"].get("finalizers") or []), FOREIGN_FINALIZER]
    name = now.gateway["metadata"]["name"]
    return (
        Patch(Target.of(r.SERVICES, PROXY, now.namespace), {"metadata": {"finalizers": held}}),
        Delete(Target.of(r.ACTIONSGATEWAYS, name, now.namespace)),
    )


# -- parts -----------------------------------------------------------------------------------------------------------


def _patch_gateway(now: Snapshot, spec: Manifest) -> Step:
    return Patch(Target.of(r.ACTIONSGATEWAYS, now.gateway["metadata"]["name"], now.namespace), {"spec": spec})


def _change_groups(now: Snapshot, groups: list[Manifest], key: str) -> tuple[Step, Step]:
    gateway = Target.of(r.ACTIONSGATEWAYS, now.gateway["metadata"]["name"], now.namespace)
    return Patch(gateway, {"spec": {"runnerGroups": groups}}), AwaitGroups(gateway, key)


def _secret(now: Snapshot) -> Manifest:
    name = now.gateway["spec"]["gitHubAppRef"]["name"]
    found = next((one for one in now.secrets if one["metadata"]["name"] == name), None)
    if found is None:
        raise CannotInject(f"the Secret {now.namespace}/{name} does not exist", "Take back what removed it first.")
    return found


def _entries(now: Snapshot) -> list[Manifest]:
    entries: list[Manifest] = now.gateway["spec"].get("runnerGroups") or []
    if not entries:
        raise CannotInject(f"{now.namespace} has no runner group", "Add one to its gateway.")
    return entries


def _run(now: Snapshot) -> Step:
    return StartRun(tuple(_entries(now)[0]["runnerLabels"]), _LONG_JOB, _repository(now))


def _repository(now: Snapshot) -> str:
    parts = urlsplit(now.gateway["spec"]["gitHubURL"]).path.strip("/").split("/")
    return "/".join(parts) if len(parts) == 2 else f"{parts[-1]}/demo"


def _quota(now: Snapshot, pods: int) -> Step:
    metadata = {"name": QUOTA, "namespace": now.namespace}
    return Create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"pods": str(pods)}}}
    )


def _living(now: Snapshot) -> list[Manifest]:
    """The pods that a quota counts."""
    return [pod for pod in now.pods if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]


def _uncounted(now: Snapshot) -> Step:
    return Afterwards(Uncount(now.gateway["metadata"]["namespace"]))


def _annotate_nodes(now: Snapshot, annotation: str) -> list[Step]:
    wanted = {"metadata": {"annotations": {annotation: "drill"}}}
    return [Patch(Target.of(r.NODES, node["metadata"]["name"]), wanted) for node in now.nodes]


def _private_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
