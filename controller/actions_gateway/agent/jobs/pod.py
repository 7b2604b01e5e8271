"""The worker pod of one job: the tenant's template, with what belongs to the gateway laid over it.

The tenant decides images, resources, volumes, scheduling and sidecars; the gateway decides who runs (ServiceAccount, no
token), what runs in the container `runner` (the wrapper), what is mounted for it, and how the pod ends.
"""

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from posixpath import normpath
from typing import Any

from actions_gateway.agent.jobs.security import harden
from actions_gateway.api import labels
from actions_gateway.api.footprint import INSTALLER_RESOURCES, WORKER_RESOURCES
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import RUNNER_CONTAINER
from actions_gateway.api.runnergroup import GroupSettings
from actions_gateway.kube.resources import RUNNERGROUPS

Manifest = dict[str, Any]

PAYLOAD_KEYS = ("payload", "plan-id", "runner", "credentials")
"""The Secret's keys that the worker sees; the state key is not among them."""

_WRAPPER_FOLDER = "/opt/actions-gateway"
_PAYLOAD_FOLDER = "/run/secrets/job-payload"
_PODINFO_FOLDER = "/etc/podinfo"
_CA_FOLDER = "/etc/actions-gateway/ca"
_TERMINATION_MESSAGE = "/dev/termination-log"
_SHUTDOWN_GRACE_SECONDS = 25
_POD_GRACE_SECONDS = 30
"""The wrapper's grace, and the time in which the kubelet notices the end."""
_LONGEST_GRACE_SECONDS = 3600
"""So long a template's sidecars may take; a pod that is asked to end must not go on for ages."""

_LARGEST_INT32 = 2**31 - 1

_VOLUMES = ("gateway", "job-payload", "podinfo", "ca-bundle")

_DISRUPTION_ANNOTATIONS = {
    "karpenter.sh/do-not-disrupt": "true",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "descheduler.alpha.kubernetes.io/prefer-no-eviction": "true",
}
"""A job is not moved while it runs; the only annotations that a template may override."""


@dataclass(frozen=True, slots=True)
class WorkerSite:
    """What is the same for every worker of the gateway."""

    namespace: str
    wrapper_image: str
    worker_image: str
    service_account: str
    profile: SecurityProfile
    ca_configmap: str | None = None
    ca_key: str = "ca.crt"
    proxy: str | None = None
    """The egress proxy's URL; without one, the pod's environment names none."""
    no_proxy: str = ""


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What is particular to one worker. Annotations hold no secret; None and empty values are left out."""

    name: str
    group: str
    group_uid: str
    slot: str
    slot_uid: str
    priority_class: str | None
    annotations: dict[str, str | None]
    cancel_deadline: datetime | None = None
    plan_id: str = ""
    """Slots are used again: the worker runs nothing but this plan, if one is given."""
    refusal: str = ""
    """Why the worker fails the job in place of running it; empty when it runs it."""


def owner_reference(group: str, uid: str) -> Manifest:
    """The RunnerGroup as owner: what a job leaves behind goes with its group, which waits for it when it is asked to.

    Otherwise a deleted gateway would have no sign that its workers are gone, and take their NetworkPolicy from them.
    """
    return {
        "apiVersion": RUNNERGROUPS.api_version,
        "kind": RUNNERGROUPS.kind,
        "name": group,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def deadline_text(deadline: datetime | None) -> str:
    """The value of the cancellation annotation; empty for none."""
    return "" if deadline is None else deadline.strftime("%Y-%m-%dT%H:%M:%SZ")


def build_worker_pod(order: WorkerOrder, settings: GroupSettings, site: WorkerSite) -> Manifest:
    """The manifest to create."""
    template = settings.pod_template or {}
    spec = _spec(order, settings, site, deepcopy(template.get("spec") or {}))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": order.name,
            "namespace": site.namespace,
            "labels": _labels(order.group),
            "annotations": _annotations(order, (template.get("metadata") or {}).get("annotations") or {}),
            "ownerReferences": [owner_reference(order.group, order.group_uid)],
        },
        "spec": harden(spec, site.profile),
    }


def sample_worker(settings: GroupSettings, site: WorkerSite) -> Manifest:
    """A pod as a group's workers are, for no job: what it costs, each of them costs."""
    order = WorkerOrder(
        name="worker", group="", group_uid="", slot="", slot_uid="", priority_class=None, annotations={}
    )
    return build_worker_pod(order, settings, site)


def _labels(group: str) -> dict[str, str]:
    return {
        labels.MANAGED_BY: labels.BY_AGENT,
        labels.RUNNER_GROUP: group,
        labels.COMPONENT: labels.WORKLOAD,
        labels.APP_NAME: "actions-runner",
        labels.APP_INSTANCE: group,
        labels.APP_COMPONENT: "runner",
        labels.APP_PART_OF: labels.PART_OF,
    }


def _annotations(order: WorkerOrder, template: dict[str, Any]) -> dict[str, str]:
    known = {key: value for key, value in order.annotations.items() if value}
    overrides = {key: template[key] for key in _DISRUPTION_ANNOTATIONS if isinstance(template.get(key), str)}
    return {
        **_DISRUPTION_ANNOTATIONS,
        **overrides,
        **known,
        labels.JOB_SLOT: order.slot,
        labels.SLOT_UID: order.slot_uid,
        # Present from the start: the wrapper reads it through a downward-API file.
        labels.CANCELLATION: deadline_text(order.cancel_deadline),
    }


def _spec(order: WorkerOrder, settings: GroupSettings, site: WorkerSite, spec: Manifest) -> Manifest:
    spec["volumes"] = [volume for volume in spec.get("volumes") or [] if volume.get("name") not in _VOLUMES]
    spec["volumes"] += _volumes(order.slot, site)
    containers = spec.get("containers") or []
    if all(container.get("name") != RUNNER_CONTAINER for container in containers):
        containers = [{"name": RUNNER_CONTAINER}, *containers]
    spec["containers"] = [
        _runner(container, order, settings, site)
        if container.get("name") == RUNNER_CONTAINER
        else _foreign(container, site)
        for container in containers
    ]
    spec["initContainers"] = [
        _installer(site),
        *(_foreign(container, site) for container in spec.get("initContainers") or []),
    ]
    for field in ("ephemeralContainers", "serviceAccount"):
        spec.pop(field, None)
    # Steps would inherit variables of every Service of the namespace.
    spec.setdefault("enableServiceLinks", False)
    grace = min(int(spec.get("terminationGracePeriodSeconds") or 0), _LONGEST_GRACE_SECONDS)
    spec |= {
        "serviceAccountName": site.service_account,
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "terminationGracePeriodSeconds": max(_POD_GRACE_SECONDS, grace),
    }
    if settings.max_worker_lifetime_seconds > 0:
        lifetime = max(1, min(int(settings.max_worker_lifetime_seconds), _LARGEST_INT32))
        spec["activeDeadlineSeconds"] = spec.get("activeDeadlineSeconds") or lifetime
    if order.priority_class is not None:
        spec["priorityClassName"] = order.priority_class
        # Computed by admission from the class; a template's own number would contradict it.
        spec.pop("priority", None)
    return spec


def _volumes(slot: str, site: WorkerSite) -> list[Manifest]:
    cancellation = {
        "path": "cancellation",
        "fieldRef": {"fieldPath": f"metadata.annotations['{labels.CANCELLATION}']"},
    }
    volumes: list[Manifest] = [
        {"name": "gateway", "emptyDir": {}},
        {
            "name": "job-payload",
            "secret": {"secretName": slot, "items": [{"key": key, "path": key} for key in PAYLOAD_KEYS]},
        },
        {"name": "podinfo", "downwardAPI": {"items": [cancellation]}},
    ]
    if site.ca_configmap:
        items = [{"key": site.ca_key, "path": "ca.crt"}]
        volumes.append({"name": "ca-bundle", "configMap": {"name": site.ca_configmap, "items": items}})
    return volumes


def _installer(site: WorkerSite) -> Manifest:
    """Lays the wrapper into the shared folder, so that the tenant's runner image stays unmodified."""
    installer: Manifest = {
        "name": "install-wrapper",
        "image": site.wrapper_image,
        "args": ["worker", "install", _WRAPPER_FOLDER],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": dict(INSTALLER_RESOURCES), "limits": dict(INSTALLER_RESOURCES)},
        "volumeMounts": [{"name": "gateway", "mountPath": _WRAPPER_FOLDER}],
    }
    return _with_environment(installer, _proxy_environment(site))


def _foreign(container: Manifest, site: WorkerSite) -> Manifest:
    """A container of the tenant's: it sees none of the gateway's volumes, above all not the job's credentials."""
    container = _with_environment(container, _proxy_environment(site))
    if "volumeMounts" not in container:
        return container
    return container | {"volumeMounts": _foreign_mounts(container)}


def _with_environment(container: Manifest, environment: dict[str, str]) -> Manifest:
    """The container with the gateway's variables, which win over its own of the same name."""
    if not environment:
        return container
    own = [entry for entry in container.get("env") or [] if entry.get("name") not in environment]
    return container | {"env": own + [{"name": name, "value": value} for name, value in environment.items()]}


def _foreign_mounts(container: Manifest) -> list[Manifest]:
    return [mount for mount in container.get("volumeMounts") or [] if mount.get("name") not in _VOLUMES]


def _runner(container: Manifest, order: WorkerOrder, settings: GroupSettings, site: WorkerSite) -> Manifest:
    mounts = _mounts(site)
    reserved_paths = {mount["mountPath"] for mount in mounts}
    foreign = [m for m in _foreign_mounts(container) if normpath(m.get("mountPath") or "") not in reserved_paths]
    runner = _with_environment(container, _environment(order, site)) | {
        "image": container.get("image") or settings.worker_image or site.worker_image,
        "command": [f"{_WRAPPER_FOLDER}/wrapper"],
        "terminationMessagePath": _TERMINATION_MESSAGE,
        # The wrapper's own words only: the tail of a log may hold what nobody has masked.
        "terminationMessagePolicy": "File",
        "volumeMounts": foreign + mounts,
    }
    # A container's own restart policy would run the job a second time.
    for field in ("args", "restartPolicy", "restartPolicyRules"):
        runner.pop(field, None)
    resources = runner.get("resources") or {}
    if not resources.get("requests") and not resources.get("limits"):
        runner["resources"] = {"requests": dict(WORKER_RESOURCES), "limits": dict(WORKER_RESOURCES)}
    return runner


def _environment(order: WorkerOrder, site: WorkerSite) -> dict[str, str]:
    environment = {
        "RUNNER_HOME_DIR": "/home/runner",
        "PAYLOAD_SECRET_PATH": _PAYLOAD_FOLDER,
        "CANCELLATION_PATH": f"{_PODINFO_FOLDER}/cancellation",
        "WORKER_SHUTDOWN_GRACE": str(_SHUTDOWN_GRACE_SECONDS),
        "TERMINATION_MESSAGE_PATH": _TERMINATION_MESSAGE,
    }
    authority = {"GITHUB_CA_CERT_PATH": f"{_CA_FOLDER}/ca.crt"} if site.ca_configmap else {}
    job = {"JOB_PLAN_ID": order.plan_id, "JOB_REFUSAL": order.refusal}
    return environment | authority | {name: text for name, text in job.items() if text} | _proxy_environment(site)


def _proxy_environment(site: WorkerSite) -> dict[str, str]:
    """For every container: the pod's network reaches nothing else. Clients differ in the case that they read."""
    if not site.proxy:
        return {}
    values = {"HTTP_PROXY": site.proxy, "HTTPS_PROXY": site.proxy, "NO_PROXY": site.no_proxy}
    return values | {name.lower(): value for name, value in values.items()}


def _mounts(site: WorkerSite) -> list[Manifest]:
    mounts: list[Manifest] = [
        {"name": "gateway", "mountPath": _WRAPPER_FOLDER, "readOnly": True},
        {"name": "job-payload", "mountPath": _PAYLOAD_FOLDER, "readOnly": True},
        {"name": "podinfo", "mountPath": _PODINFO_FOLDER, "readOnly": True},
    ]
    return mounts + ([{"name": "ca-bundle", "mountPath": _CA_FOLDER, "readOnly": True}] if site.ca_configmap else [])
