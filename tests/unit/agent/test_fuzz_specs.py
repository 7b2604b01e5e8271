"""Whatever a RunnerGroup asks for, its workers can be built, or a text names the field that keeps them from it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actions_gateway.agent.jobs.pod import WorkerOrder, WorkerSite, build_worker_pod
from actions_gateway.agent.jobs.template import template_problem
from actions_gateway.agent.runnergroups.unit import spec_problem
from actions_gateway.api.durations import parse_duration_seconds
from actions_gateway.api.footprint import footprint_of
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import RUNNER_CONTAINER
from actions_gateway.api.runnergroup import GroupSettings, RunnerGroupSpec
from support.clock import START
from support.fuzz import JSON, mutated

CONTEXT = {"runAsUser": 1001, "capabilities": {"add": ["NET_BIND_SERVICE"]}, "seccompProfile": {"type": "Localhost"}}
CONTAINER = {
    "name": RUNNER_CONTAINER,
    "image": "mine:1",
    "command": ["sh"],
    "args": ["-c", "true"],
    "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    "envFrom": [{"secretRef": {"name": "s"}}],
    "ports": [{"containerPort": 80, "hostPort": 8080}],
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    "volumeMounts": [{"name": "cache", "mountPath": "/cache"}, {"name": "gateway", "mountPath": "/opt"}],
    "restartPolicy": "Always",
    "securityContext": CONTEXT,
}
CLAIM = {
    "name": "big",
    "ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}},
}
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"a": "b"}, "annotations": {"karpenter.sh/do-not-disrupt": "false"}},
    "spec": {
        "initContainers": [{"name": "prepare", "restartPolicy": "Always", "securityContext": CONTEXT}],
        "containers": [CONTAINER, {"name": "side", "env": [], "volumeMounts": []}],
        "volumes": [{"name": "cache", "emptyDir": {}}, {"name": "podinfo", "emptyDir": {}}, CLAIM],
        "securityContext": {"runAsNonRoot": True, "fsGroup": 1},
        "terminationGracePeriodSeconds": 60,
        "activeDeadlineSeconds": 60,
        "priorityClassName": "low",
        "tolerations": [{"key": "gpu"}],
        "shareProcessNamespace": True,
        "resources": {"requests": {"cpu": "2"}},
        "overhead": {"cpu": "1m"},
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}},
    },
}
SPEC: dict[str, Any] = {
    "runnerLabels": ["linux"],
    "maxListeners": 10,
    "maxWorkers": 20,
    "priorityTiers": [{"priorityClassName": "low", "threshold": 5}, {"priorityClassName": "high", "threshold": 20}],
    "podTemplate": TEMPLATE,
    "workerImage": "w:1",
    "evictionRetryDelay": "5s",
    "maxQuotaRetries": 5,
    "quotaRetryDelay": "30s",
    "completedPodTTL": "5m",
    "pendingPodDeadline": "10m",
    "maxWorkerLifetime": "12h",
    "suspended": False,
}
ORDER = WorkerOrder("runner-ci-1", "ci", "u-1", "job-0001", "u-2", None, {}, refusal="no")
NUMBERS = st.integers(0, 10**31).map(str) | st.floats(0, 1e9).map("{:.3f}".format)
PROFILES = st.sampled_from(SecurityProfile)


def accepted(spec: Any) -> GroupSettings | None:
    """The settings, as the agent would take them; None after a refusal that names its field."""
    try:
        settings = RunnerGroupSpec.model_validate(spec)
    except ValidationError as failure:
        problem = spec_problem(failure)
    else:
        problem = template_problem(settings.pod_template or {})
        if not problem:
            return settings
    field, _, says = problem.partition(": ")
    assert field.startswith("spec"), problem
    assert says
    assert len(problem) < 1000
    return None


def built(settings: GroupSettings, profile: SecurityProfile) -> None:
    site = WorkerSite("team-a", "controller:1", "runner:1", "worker", profile, ca_configmap="ca", proxy="http://p:1")
    pod = build_worker_pod(ORDER, settings, site)
    json.dumps(pod)
    try:
        footprint_of(pod)
    except ValueError as problem:
        # What the API server refuses, too.
        assert "quantity" in str(problem) or "another type" in str(problem)  # noqa: PT017
    spec = pod["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("worker", False)
    assert "serviceAccount" not in spec
    assert spec["restartPolicy"] == "Never"
    assert not any(spec[field] for field in ("hostNetwork", "hostPID", "hostIPC"))
    assert "ephemeralContainers" not in spec
    assert 30 <= spec["terminationGracePeriodSeconds"] <= 3600
    runners = [container for container in spec["containers"] if container.get("name") == RUNNER_CONTAINER]
    assert runners
    for container in runners:
        assert container["command"] == ["/opt/actions-gateway/wrapper"]
        assert container["image"]
        assert container["terminationMessagePolicy"] == "File"
        assert "restartPolicy" not in container
    ours = {"job-payload", "podinfo", "gateway", "ca-bundle"}
    others = [container for container in spec["containers"] + spec["initContainers"][1:] if container not in runners]
    for container in others:
        assert ours.isdisjoint(str(mount.get("name")) for mount in container.get("volumeMounts") or [])


def used(settings: GroupSettings) -> None:
    """Whatever the agent reads of a group's settings."""
    assert settings.worker_ceiling >= 1
    assert settings.max_worker_lifetime_seconds >= 0
    for text in (settings.pending_pod_deadline, settings.quota_retry_delay, settings.eviction_retry_delay):
        assert START + timedelta(seconds=parse_duration_seconds(text)) >= START
    assert START + timedelta(seconds=settings.completed_pod_ttl_seconds) >= START


@given(mutated(SPEC), PROFILES)
def test_a_spec_with_faults_is_built_or_told_with_its_field(spec: Any, profile: SecurityProfile) -> None:
    if (settings := accepted(spec)) is not None:
        used(settings)
        built(settings, profile)


@given(mutated(TEMPLATE), PROFILES)
def test_a_template_with_faults_is_built_or_told_with_its_field(template: Any, profile: SecurityProfile) -> None:
    if (settings := accepted({"runnerLabels": ["linux"], "podTemplate": template})) is not None:
        built(settings, profile)


@given(JSON)
def test_any_spec_and_any_template_is_built_or_told_with_its_field(value: Any) -> None:
    for spec in (value, {"runnerLabels": ["linux"], "podTemplate": value}):
        if (settings := accepted(spec)) is not None:
            built(settings, SecurityProfile.RESTRICTED)


@pytest.mark.parametrize("amount", ["1e999999999", "1e-999999999", "9" * 5000, "1.", [], {}, None, True])
def test_no_quantity_keeps_its_reader_busy(amount: Any) -> None:
    limits = {"limits": {"cpu": amount}}
    template = {"spec": {"containers": [{"name": RUNNER_CONTAINER, "resources": limits}]}}
    settings = accepted({"runnerLabels": ["linux"], "podTemplate": template})
    assert settings is not None
    built(settings, SecurityProfile.BASELINE)


@pytest.mark.parametrize("profile", SecurityProfile)
def test_the_spec_that_the_faults_are_made_of_has_none(profile: SecurityProfile) -> None:
    settings = accepted(SPEC)
    assert settings is not None
    used(settings)
    built(settings, profile)


@given(st.lists(st.tuples(NUMBERS, st.sampled_from(["ms", "s", "m", "h"])).map("".join), min_size=1).map("".join))
def test_every_duration_that_is_accepted_is_one_that_can_be_waited_for(duration: str) -> None:
    lives = dict.fromkeys(("maxWorkerLifetime", "pendingPodDeadline", "completedPodTTL"), duration)
    settings = accepted({"runnerLabels": ["linux"], **lives})
    if settings is not None:
        used(settings)
        built(settings, SecurityProfile.BASELINE)
