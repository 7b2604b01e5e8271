"""What a gateway's children look like: the base of each kind, and what each field of the spec changes."""

from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.gateway import parse_gateway_spec
from actions_gateway.api.names import AGENT, AGENT_CLUSTER_ROLE, PROXY, WORKER, WORKLOAD_POLICY
from actions_gateway.manager.gateway.children import CHILD_KINDS, build_children
from actions_gateway.manager.gateway.ownership import DESIRED_HASH
from support import manager_objects as make

Manifest = dict[str, Any]


def build(**changes: Any) -> dict[tuple[str, str], Manifest]:
    return make.children_of(make.gateway(**changes))


def agent(**changes: Any) -> Manifest:
    return build(**changes)["Deployment", AGENT]


def pod(**changes: Any) -> Manifest:
    found: Manifest = agent(**changes)["spec"]["template"]["spec"]
    return found


def container(**changes: Any) -> Manifest:
    found: Manifest = pod(**changes)["containers"][0]
    return found


def environment(**changes: Any) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(**changes)["env"]}


def group(**changes: Any) -> Manifest:
    entry = {"name": "cpu", "runnerLabels": ["linux"], **changes.pop("entry", {})}
    found: Manifest = build(runnerGroups=[entry], **changes)["RunnerGroup", "ci-cpu"]["spec"]
    return found


# -- all children


def test_a_gateway_has_these_children_in_this_order() -> None:
    assert list(build()) == [
        ("ServiceAccount", AGENT),
        ("ServiceAccount", WORKER),
        ("ServiceAccount", PROXY),
        ("RoleBinding", AGENT),
        ("NetworkPolicy", PROXY),
        ("NetworkPolicy", WORKLOAD_POLICY),
        ("NetworkPolicy", AGENT),
        ("Service", PROXY),
        ("PodDisruptionBudget", PROXY),
        ("HorizontalPodAutoscaler", PROXY),
        ("Deployment", PROXY),
        ("Deployment", AGENT),
        ("RunnerGroup", "ci-cpu"),
    ]
    assert {kind for kind, _ in build()} == {resource.kind for resource in CHILD_KINDS}


def test_what_limits_pods_stands_in_a_stage_before_what_makes_them() -> None:
    owner = make.gateway()
    first, second = build_children(owner, parse_gateway_spec("ci", owner["spec"]), make.SETTINGS)
    assert {"NetworkPolicy", "RoleBinding", "ServiceAccount"} == {manifest["kind"] for manifest in first}
    assert not {"NetworkPolicy", "RoleBinding", "ServiceAccount"} & {manifest["kind"] for manifest in second}


def test_every_child_is_controlled_by_this_very_gateway_and_found_by_the_managers_label() -> None:
    for child in build().values():
        metadata = child["metadata"]
        assert metadata["namespace"] == "team-a"
        assert metadata["labels"][labels.MANAGED_BY] == labels.BY_MANAGER
        assert metadata["labels"][labels.OWNER_NAME] == "ci"
        assert metadata["ownerReferences"] == [
            {
                "apiVersion": "actions-gateway.github.com/v1alpha1",
                "kind": "ActionsGateway",
                "name": "ci",
                "uid": "uid-ci",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]


def test_the_seal_changes_with_the_desired_object_and_only_with_it() -> None:
    def seals(children: dict[tuple[str, str], Manifest]) -> dict[tuple[str, str], str]:
        return {key: child["metadata"]["annotations"][DESIRED_HASH] for key, child in children.items()}

    before, after = seals(build()), seals(build(logLevel="debug"))
    assert before == seals(build())
    assert {key for key in before if before[key] != after[key]} == {("Deployment", AGENT), ("Deployment", PROXY)}


# -- access


def test_no_account_mounts_a_token_on_its_own() -> None:
    children = build()
    for name in (AGENT, WORKER, PROXY):
        assert children["ServiceAccount", name]["automountServiceAccountToken"] is False


def test_the_agent_is_bound_to_the_fixed_role_in_its_own_namespace() -> None:
    binding = build()["RoleBinding", AGENT]
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": AGENT_CLUSTER_ROLE,
    }
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": AGENT, "namespace": "team-a"}]


# -- agent


def test_the_agents_pods_are_selected_by_both_policies() -> None:
    pod_labels = agent()["spec"]["template"]["metadata"]["labels"]
    assert pod_labels["app"] == AGENT
    assert pod_labels[labels.COMPONENT] == labels.WORKLOAD


def test_one_agent_is_replaced_before_the_next_one_starts() -> None:
    spec = agent()["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 60


def test_a_changed_reference_changes_the_template_so_that_the_pod_rolls() -> None:
    before, after = (agent(gitHubAppRef={"name": name})["spec"]["template"] for name in ("app-v1", "app-v2"))
    assert before["metadata"]["annotations"] == {labels.CREDENTIAL_SECRET: "app-v1"}
    assert after["metadata"]["annotations"] == {labels.CREDENTIAL_SECRET: "app-v2"}
    assert after["spec"]["volumes"][0]["secret"]["secretName"] == "app-v2"


def test_only_the_three_keys_of_the_secret_are_mounted_readable_by_the_group_and_it_may_be_missing() -> None:
    (volume,) = pod()["volumes"]
    assert [item["key"] for item in volume["secret"]["items"]] == ["appId", "installationId", "privateKey"]
    assert volume["secret"]["optional"] is True
    assert volume["secret"]["defaultMode"] == 0o440
    assert pod()["securityContext"]["fsGroup"] == 65532
    (mount,) = container()["volumeMounts"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], environment()["GITHUB_APP_PATH"])


def test_no_credential_is_an_environment_variable() -> None:
    assert all("secretKeyRef" not in str(entry) for entry in container()["env"])
    assert "envFrom" not in container()


def test_the_pod_satisfies_the_restricted_profile() -> None:
    context = container()["securityContext"]
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod().keys()
    assert all("hostPath" not in volume for volume in pod()["volumes"])


def test_the_probes_ask_the_health_port_by_its_name() -> None:
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"health": 8081, "metrics": 8080}
    probed = {name: container()[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probed == {
        "startupProbe": {"path": "/healthz", "port": "health"},
        "livenessProbe": {"path": "/healthz", "port": "health"},
        "readinessProbe": {"path": "/readyz", "port": "health"},
    }


def test_a_lost_node_is_given_up_after_half_a_minute() -> None:
    assert {(entry["key"], entry["effect"], entry["tolerationSeconds"]) for entry in pod()["tolerations"]} == {
        ("node.kubernetes.io/not-ready", "NoExecute", 30),
        ("node.kubernetes.io/unreachable", "NoExecute", 30),
    }


def test_the_environment_is_what_the_agents_settings_read() -> None:
    assert environment(securityProfile="restricted", logLevel="debug") == {
        "POD_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "BIND_ADDRESS": {"fieldRef": {"fieldPath": "status.podIP"}},
        "HEALTH_PORT": "8081",
        "METRICS_PORT": "8080",
        "GATEWAY_NAME": "ci",
        "GITHUB_URL": "https://github.com/octo",
        "GITHUB_APP_PATH": "/etc/actions-gateway/github-app",
        "GITHUB_PROXY": "http://actions-gateway-proxy.team-a.svc.cluster.local:8080",
        "WORKER_NO_PROXY": "localhost,127.0.0.1,::1",
        "WORKER_SERVICE_ACCOUNT": WORKER,
        "WRAPPER_IMAGE": "controller:test",
        "WORKER_IMAGE": "runner:test",
        "SECURITY_PROFILE": "restricted",
        "LOG_LEVEL": "debug",
    }


def test_what_the_tenant_excepts_from_the_proxy_is_told_to_the_workers_as_written() -> None:
    excepted = environment(proxy={"noProxyCIDRs": ["10.1.0.0/16", "fd00::/8"]})["WORKER_NO_PROXY"]
    assert excepted == "localhost,127.0.0.1,::1,10.1.0.0/16,fd00::/8"


def test_a_contained_gateway_has_no_agent() -> None:
    assert agent(metadata={"annotations": {labels.CONTAINED: "2026-01-05 key leaked"}})["spec"]["replicas"] == 0


def test_a_ca_bundle_is_mounted_and_named() -> None:
    reference = {"name": "company-ca", "key": "bundle.pem"}
    volumes = {volume["name"]: volume for volume in pod(caBundleRef=reference)["volumes"]}
    assert volumes["ca-bundle"]["configMap"] == {
        "name": "company-ca",
        "items": [{"key": "bundle.pem", "path": "ca.crt"}],
    }
    named = environment(caBundleRef=reference)
    assert named["CA_BUNDLE_PATH"] == "/etc/actions-gateway/ca/ca.crt"
    assert (named["CA_BUNDLE_CONFIGMAP"], named["CA_BUNDLE_KEY"]) == ("company-ca", "bundle.pem")


@pytest.mark.parametrize(
    ("given", "requests", "limits"),
    [
        pytest.param(None, ("50m", "128Mi"), ("500m", "512Mi"), id="nothing given: the defaults"),
        pytest.param(
            {"limits": {"memory": "1Gi"}}, ("50m", "128Mi"), ("500m", "1Gi"), id="one limit: the other keys stay"
        ),
        pytest.param(
            {"requests": {"memory": "1Gi"}}, ("50m", "1Gi"), ("500m", "1Gi"), id="a request over the default limit"
        ),
        pytest.param(
            {"limits": {"cpu": "10m"}}, ("10m", "128Mi"), ("10m", "512Mi"), id="a limit under the default request"
        ),
        pytest.param(
            {"requests": {"cpu": 1}, "limits": {"cpu": 2}}, (1, "128Mi"), (2, "512Mi"), id="both given: as they are"
        ),
    ],
)
def test_resources_are_merged_key_by_key(given: Any, requests: tuple[Any, Any], limits: tuple[Any, Any]) -> None:
    assert container(agent={"resources": given})["resources"] == {
        "requests": {"cpu": requests[0], "memory": requests[1]},
        "limits": {"cpu": limits[0], "memory": limits[1]},
    }


# -- runner groups


def test_a_group_is_written_out_with_every_default_so_that_each_field_is_the_managers() -> None:
    assert group() == {
        "runnerLabels": ["linux"],
        "maxListeners": 1,
        "maxEvictionRetries": 2,
        "evictionRetryDelay": "5s",
        "maxQuotaRetries": 5,
        "quotaRetryDelay": "30s",
        "completedPodTTL": "5m",
        "pendingPodDeadline": "10m",
        "maxWorkerLifetime": "12h",
        "suspended": False,
    }


def test_the_getting_started_groups_keep_their_tiers_and_ceiling() -> None:
    tiers = [
        {"priorityClassName": "runner-critical", "threshold": 5, "preemptionPolicy": "Never"},
        {"priorityClassName": "runner-standard", "threshold": 20, "preemptionPolicy": "Never"},
    ]
    spec = group(entry={"priorityTiers": tiers, "maxListeners": 4})
    assert (spec["priorityTiers"], spec["maxListeners"]) == (tiers, 4)


def test_a_pod_template_is_copied_as_the_tenant_wrote_it() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "runner", "tty": None}]}}
    assert group(entry={"podTemplate": template})["podTemplate"] == template


@pytest.mark.parametrize(
    ("paused", "suspended", "expected"), [(False, False, False), (True, False, True), (False, True, True)]
)
def test_a_group_is_suspended_by_itself_or_by_a_paused_gateway(paused: bool, suspended: bool, expected: bool) -> None:
    assert group(paused=paused, entry={"suspended": suspended})["suspended"] is expected
