"""The worker pod: what the tenant decides, and what belongs to the gateway."""

from datetime import UTC, datetime
from typing import Any

import pytest

from actions_gateway.agent.jobs.pod import PAYLOAD_KEYS, WorkerOrder, WorkerSite, build_worker_pod
from actions_gateway.agent.jobs.template import template_problem
from actions_gateway.api import labels
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.runnergroup import RunnerGroupSpec

DEADLINE = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


def site(profile: SecurityProfile = SecurityProfile.BASELINE, **changes: Any) -> WorkerSite:
    fields: dict[str, Any] = {
        "namespace": "team-a",
        "wrapper_image": "controller:1",
        "worker_image": "runner:1",
        "service_account": "worker",
        "profile": profile,
    }
    return WorkerSite(**fields | changes)


def order(**changes: Any) -> WorkerOrder:
    fields: dict[str, Any] = {
        "name": "runner-ci-abc",
        "group": "ci-cpu",
        "group_uid": "uid-1",
        "slot": "job-0001",
        "slot_uid": "uid-2",
        "priority_class": None,
        "annotations": {labels.RUN_ID: "42", labels.REPOSITORY: None},
    }
    return WorkerOrder(**fields | changes)


def build(
    *, profile: SecurityProfile = SecurityProfile.BASELINE, template: Any = None, group: Any = None, **changes: Any
) -> dict[str, Any]:
    spec = RunnerGroupSpec.model_validate({"runnerLabels": ["linux"], "podTemplate": template, **(group or {})})
    return build_worker_pod(order(**changes), spec, site(profile))


def runner(pod: dict[str, Any]) -> dict[str, Any]:
    return next(container for container in pod["spec"]["containers"] if container["name"] == "runner")


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def test_without_a_template_the_runner_container_has_everything_it_needs() -> None:
    pod = build()
    container = runner(pod)
    assert container["image"] == "runner:1"
    assert container["command"] == ["/opt/actions-gateway/wrapper"]
    assert container["resources"]["requests"] == container["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}
    assert environment(container) == {
        "RUNNER_HOME_DIR": "/home/runner",
        "PAYLOAD_SECRET_PATH": "/run/secrets/job-payload",
        "CANCELLATION_PATH": "/etc/podinfo/cancellation",
        "WORKER_SHUTDOWN_GRACE": "25",
        "TERMINATION_MESSAGE_PATH": "/dev/termination-log",
    }
    (installer,) = pod["spec"]["initContainers"]
    assert installer["image"] == "controller:1"
    assert installer["args"] == ["worker", "install", "/opt/actions-gateway"]


def test_the_state_key_of_the_slot_is_never_mounted() -> None:
    volume = next(volume for volume in build()["spec"]["volumes"] if volume["name"] == "job-payload")
    assert volume["secret"]["secretName"] == "job-0001"
    assert tuple(item["key"] for item in volume["secret"]["items"]) == PAYLOAD_KEYS
    assert "state" not in PAYLOAD_KEYS


def test_reserved_fields_are_the_gateways_whatever_the_template_says() -> None:
    template = {
        "metadata": {"labels": {"app": "mine"}, "annotations": {"mine": "x", "karpenter.sh/do-not-disrupt": "false"}},
        "spec": {
            "serviceAccountName": "admin",
            "serviceAccount": "admin",
            "automountServiceAccountToken": True,
            "hostNetwork": True,
            "hostPID": True,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 5,
            "ephemeralContainers": [{"name": "debug"}],
            "volumes": [{"name": "job-payload", "emptyDir": {}}, {"name": "cache", "emptyDir": {}}],
            "containers": [
                {
                    "name": "runner",
                    "image": "mine:1",
                    "command": ["sh"],
                    "args": ["-c", "true"],
                    "restartPolicy": "Always",
                    "restartPolicyRules": [{"action": "Restart"}],
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "env": [{"name": "RUNNER_HOME_DIR", "value": "/tmp"}, {"name": "MINE", "value": "1"}],
                    "volumeMounts": [
                        {"name": "cache", "mountPath": "/cache"},
                        {"name": "cache", "mountPath": "/run/secrets/job-payload"},
                        {"name": "cache", "mountPath": "/run/secrets/../secrets/job-payload/"},
                    ],
                },
                {
                    "name": "sidecar",
                    "image": "side:1",
                    "volumeMounts": [
                        {"name": "job-payload", "mountPath": "/steal"},
                        {"name": "cache", "mountPath": "/cache"},
                    ],
                },
            ],
        },
    }
    pod = build(template=template)
    spec, container = pod["spec"], runner(pod)
    assert spec["serviceAccountName"] == "worker"
    assert spec["automountServiceAccountToken"] is False
    assert (spec["hostNetwork"], spec["hostPID"], spec["hostIPC"]) == (False, False, False)
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert "ephemeralContainers" not in spec
    assert [volume["name"] for volume in spec["volumes"]].count("job-payload") == 1
    assert container["image"] == "mine:1"
    assert container["command"] == ["/opt/actions-gateway/wrapper"]
    assert not {"args", "restartPolicy", "restartPolicyRules"} & container.keys(), "a job runs once"
    assert container["terminationMessagePolicy"] == "File"
    assert "serviceAccount" not in spec
    assert environment(container)["RUNNER_HOME_DIR"] == "/home/runner"
    assert environment(container)["MINE"] == "1"
    assert [(mount["name"], mount["mountPath"], mount.get("readOnly")) for mount in container["volumeMounts"]] == [
        ("cache", "/cache", None),
        ("gateway", "/opt/actions-gateway", True),
        ("job-payload", "/run/secrets/job-payload", True),
        ("podinfo", "/etc/podinfo", True),
    ]
    sidecar = next(entry for entry in spec["containers"] if entry["name"] == "sidecar")
    assert sidecar["volumeMounts"] == [{"name": "cache", "mountPath": "/cache"}]
    assert "app" not in pod["metadata"]["labels"]
    assert "mine" not in pod["metadata"]["annotations"]
    assert pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "false"


def test_a_tenants_own_resources_stay() -> None:
    template = {"spec": {"containers": [{"name": "runner", "resources": {"limits": {"cpu": "4"}}}]}}
    assert runner(build(template=template))["resources"] == {"limits": {"cpu": "4"}}


def test_a_template_without_a_runner_container_gets_one() -> None:
    pod = build(template={"spec": {"containers": [{"name": "dind", "image": "docker:dind"}]}})
    assert [container["name"] for container in pod["spec"]["containers"]] == ["runner", "dind"]


def test_the_group_s_image_wins_over_the_gateway_s() -> None:
    assert runner(build(group={"workerImage": "group:1"}))["image"] == "group:1"


def test_labels_owner_and_annotations_tell_whose_worker_it_is() -> None:
    metadata = build(cancel_deadline=DEADLINE)["metadata"]
    assert metadata["labels"][labels.RUNNER_GROUP] == "ci-cpu"
    assert metadata["labels"][labels.MANAGED_BY] == labels.BY_AGENT
    assert metadata["labels"][labels.COMPONENT] == labels.WORKLOAD
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("RunnerGroup", "ci-cpu", "uid-1", True)
    assert owner["blockOwnerDeletion"], "a group that is deleted in the foreground waits for its workers"
    annotations = metadata["annotations"]
    assert annotations[labels.RUN_ID] == "42"
    assert labels.REPOSITORY not in annotations
    assert (annotations[labels.JOB_SLOT], annotations[labels.SLOT_UID]) == ("job-0001", "uid-2")
    assert annotations[labels.CANCELLATION] == "2026-01-05T09:30:00Z"


def test_nobody_s_cancellation_is_an_empty_annotation() -> None:
    assert build()["metadata"]["annotations"][labels.CANCELLATION] == ""


@pytest.mark.parametrize(("lifetime", "expected"), [("12h", 43200), ("0s", None), ("500ms", 1), ("999999h", 2**31 - 1)])
def test_the_worker_s_life_is_bounded(lifetime: str, expected: int | None) -> None:
    assert build(group={"maxWorkerLifetime": lifetime})["spec"].get("activeDeadlineSeconds") == expected


@pytest.mark.parametrize(("own", "expected"), [(60, 60), (None, 43200), (0, 43200), (999_999, 999_999)])
def test_a_template_s_own_bound_on_the_life_wins_when_it_is_one(own: int | None, expected: int) -> None:
    assert build(template={"spec": {"activeDeadlineSeconds": own}})["spec"]["activeDeadlineSeconds"] == expected


@pytest.mark.parametrize(("asked", "given"), [(None, 30), (5, 30), (-1, 30), (120, 120), (2**63 - 1, 3600)])
def test_a_pod_that_is_asked_to_end_takes_neither_too_little_nor_for_ever(asked: int | None, given: int) -> None:
    spec = build(template={"spec": {"terminationGracePeriodSeconds": asked}})["spec"]
    assert spec["terminationGracePeriodSeconds"] == given


def test_steps_inherit_no_addresses_of_the_namespace_s_services_unless_the_template_wants_it() -> None:
    assert build()["spec"]["enableServiceLinks"] is False
    assert build(template={"spec": {"enableServiceLinks": True}})["spec"]["enableServiceLinks"] is True


def test_an_annotation_that_is_no_text_is_none() -> None:
    template = {"metadata": {"annotations": {"karpenter.sh/do-not-disrupt": False}}}
    assert build(template=template)["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"


def test_a_tier_s_priority_class_replaces_the_template_s() -> None:
    template = {"spec": {"priorityClassName": "mine", "priority": 7}}
    assert build(template=template)["spec"]["priorityClassName"] == "mine"
    spec = build(template=template, priority_class="low")["spec"]
    assert spec["priorityClassName"] == "low"
    assert "priority" not in spec


def test_a_ca_bundle_is_mounted_and_named() -> None:
    spec = RunnerGroupSpec.model_validate({"runnerLabels": ["linux"]})
    pod = build_worker_pod(order(), spec, site(ca_configmap="corporate", ca_key="root.pem"))
    volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "ca-bundle")
    assert volume["configMap"] == {"name": "corporate", "items": [{"key": "root.pem", "path": "ca.crt"}]}
    assert environment(runner(pod))["GITHUB_CA_CERT_PATH"] == "/etc/actions-gateway/ca/ca.crt"


def test_every_container_reaches_github_through_the_proxy_and_nothing_else() -> None:
    own = [{"name": "HTTPS_PROXY", "value": "http://mine"}, {"name": "MINE", "value": "1"}]
    template = {
        "spec": {
            "initContainers": [{"name": "prepare", "env": own}],
            "containers": [{"name": "runner", "env": own}, {"name": "sidecar"}],
        }
    }
    spec = RunnerGroupSpec.model_validate({"runnerLabels": ["linux"], "podTemplate": template})
    through = site(proxy="http://proxy.team-a:8080", no_proxy="localhost,10.0.0.0/8", ca_configmap="corporate")
    pod = build_worker_pod(order(), spec, through)["spec"]
    containers = pod["initContainers"] + pod["containers"]
    assert [container["name"] for container in containers] == ["install-wrapper", "prepare", "runner", "sidecar"]
    for container in containers:
        names = [entry["name"] for entry in container["env"]]
        assert len(names) == len(set(names))
        found = environment(container)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            assert found[name] == "http://proxy.team-a:8080"
        assert found["NO_PROXY"] == found["no_proxy"] == "localhost,10.0.0.0/8"
    assert environment(runner({"spec": pod}))["MINE"] == "1"
    assert "GITHUB_CA_CERT_PATH" in environment(runner({"spec": pod}))
    assert "GITHUB_CA_CERT_PATH" not in environment(containers[3])


def test_without_a_proxy_no_container_is_told_of_one() -> None:
    template = {"spec": {"containers": [{"name": "runner"}, {"name": "sidecar", "env": [{"name": "NO_PROXY"}]}]}}
    pod = build(template=template)["spec"]
    assert not any("proxy" in name.lower() for name in environment(runner({"spec": pod})))
    assert pod["containers"][1]["env"] == [{"name": "NO_PROXY"}]
    assert "env" not in pod["initContainers"][0]


# -- security profiles -------------------------------------------------------------------------------------------------


def test_privileged_adds_nothing() -> None:
    spec = build(profile=SecurityProfile.PRIVILEGED)["spec"]
    assert "securityContext" not in spec
    assert all("securityContext" not in container for container in spec["containers"] + spec["initContainers"])


def test_baseline_runs_as_the_runner_s_user_and_keeps_sudo() -> None:
    spec = build(profile=SecurityProfile.BASELINE)["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert "securityContext" not in runner({"spec": spec})


def test_restricted_confines_every_container() -> None:
    template = {"spec": {"initContainers": [{"name": "mine"}], "containers": [{"name": "runner"}, {"name": "sidecar"}]}}
    spec = build(profile=SecurityProfile.RESTRICTED, template=template)["spec"]
    for container in spec["containers"] + spec["initContainers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def test_the_tenant_s_own_security_settings_stay() -> None:
    template = {
        "spec": {
            "securityContext": {"runAsUser": 2000, "fsGroup": 2000},
            "containers": [{"name": "runner", "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}}}],
        }
    }
    pod = build(profile=SecurityProfile.RESTRICTED, template=template)
    assert pod["spec"]["securityContext"]["runAsUser"] == 2000
    assert pod["spec"]["securityContext"]["fsGroup"] == 2000
    capabilities = runner(pod)["securityContext"]["capabilities"]
    assert capabilities == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}


def test_a_template_that_runs_as_root_gets_no_user() -> None:
    template = {"spec": {"securityContext": {"runAsNonRoot": False}}}
    assert "runAsUser" not in build(template=template)["spec"]["securityContext"]


def test_the_template_itself_is_left_as_it_is() -> None:
    template: dict[str, Any] = {"spec": {"containers": [{"name": "runner"}], "volumes": []}}
    build(template=template)
    assert template == {"spec": {"containers": [{"name": "runner"}], "volumes": []}}


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ([], "spec.podTemplate:"),
        ({"spec": {"containers": {}}}, "spec.podTemplate.spec.containers:"),
        ({"spec": {"containers": ["runner"]}}, "spec.podTemplate.spec.containers[0]:"),
        ({"spec": {"initContainers": [{"env": [None]}]}}, "spec.podTemplate.spec.initContainers[0].env[0]:"),
        ({"spec": {"terminationGracePeriodSeconds": "soon"}}, "spec.podTemplate.spec.terminationGracePeriodSeconds:"),
        ({"spec": {"securityContext": "none"}}, "spec.podTemplate.spec.securityContext:"),
        ({"spec": {"volumes": [{"name": ["x"]}]}}, "spec.podTemplate.spec.volumes[0].name:"),
        ({"spec": {"containers": [{"env": [{"name": {}}]}]}}, "spec.podTemplate.spec.containers[0].env[0].name:"),
        ({"spec": {"affinity": {"podAffinity": []}}}, "spec.podTemplate.spec.affinity.podAffinity:"),
    ],
)
def test_a_template_of_another_shape_is_named_by_its_first_wrong_field(template: Any, field: str) -> None:
    assert template_problem(template).startswith(field)


@pytest.mark.parametrize(
    "template",
    [
        {},
        {"metadata": None, "spec": None},
        {"spec": {"containers": None, "volumes": None, "initContainers": []}},
        {"spec": {"containers": [{"name": "runner", "env": None, "volumeMounts": None, "securityContext": None}]}},
    ],
)
def test_a_template_with_gaps_and_nulls_builds(template: dict[str, Any]) -> None:
    assert template_problem(template) == ""
    assert build(group={"podTemplate": template})["spec"]["containers"][0]["name"] == "runner"


def test_a_worker_knows_which_job_its_pod_was_made_for() -> None:
    assert environment(runner(build(plan_id="plan-1")))["JOB_PLAN_ID"] == "plan-1"


def test_a_job_that_is_refused_tells_its_worker_why() -> None:
    assert environment(runner(build(refusal="no containers")))["JOB_REFUSAL"] == "no containers"
    assert "JOB_REFUSAL" not in environment(runner(build()))
