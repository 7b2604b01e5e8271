"""The proxies' Deployment and what surrounds it."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from actions_gateway.api import labels
from actions_gateway.api.cidrs import parse_cidrs
from actions_gateway.api.egress import PUBLIC_ONLY, PlatformEgress, parse_egress_exceptions
from actions_gateway.api.gateway import parse_gateway_spec
from actions_gateway.api.names import PROXY
from actions_gateway.manager.gateway import proxy_deployment
from actions_gateway.manager.gateway.children import build_children
from actions_gateway.manager.gateway.proxy_deployment import render_bootstrap
from actions_gateway.proxy.bootstrap import build_bootstrap
from support import manager_objects as make

Manifest = dict[str, Any]

POD = {
    "PROXY_PORT": "8080",
    "STATS_PORT": "8081",
    "BIND_ADDRESS": "10.1.2.3",
    "POD_NAME": "actions-gateway-proxy-7d4-x",
}


def build(kind: str = "Deployment", **changes: Any) -> Manifest:
    settings = replace(make.SETTINGS, proxy_image="envoy:test", proxy_drain_seconds=changes.pop("drain_seconds", 45))
    return make.children_of(make.gateway(**changes), settings)[kind, PROXY]


def pod(**changes: Any) -> Manifest:
    found: Manifest = build(**changes)["spec"]["template"]["spec"]
    return found


def container(**changes: Any) -> Manifest:
    (found,) = pod(**changes)["containers"]
    return dict(found)


def expand(text: str, variables: dict[str, str]) -> str:
    """As Kubernetes expands an argument: `$$` is `$`, a known `$(NAME)` its value, anything else stays."""

    def one(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", one, text)


# -- Deployment


def test_the_deployment_leaves_its_number_of_pods_to_the_autoscaler() -> None:
    settings = make.SETTINGS
    stages = build_children(make.gateway(), parse_gateway_spec("ci", make.gateway()["spec"]), settings)
    (deployment,) = [
        manifest
        for stage in stages
        for manifest in stage
        if (manifest["kind"], manifest["metadata"]["name"]) == ("Deployment", PROXY)
    ]
    assert "replicas" not in deployment["spec"]


def test_a_rollout_needs_no_spare_node_and_the_spread_is_a_wish() -> None:
    spec = build()["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}
    assert "affinity" not in pod()
    assert pod()["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": PROXY}},
            "matchLabelKeys": ["pod-template-hash"],
        }
    ]


def test_proxies_are_selected_as_such_and_are_no_workload() -> None:
    spec = build()["spec"]
    pod_labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"] == {"matchLabels": {"app": PROXY}}
    assert pod_labels["app"] == PROXY
    assert labels.COMPONENT not in pod_labels


def test_the_pod_has_an_account_without_a_token_and_nothing_mounted() -> None:
    assert (pod()["serviceAccountName"], pod()["automountServiceAccountToken"]) == (PROXY, False)
    assert pod()["enableServiceLinks"] is False
    assert "volumes" not in pod()
    assert "volumeMounts" not in container()


def test_the_pod_satisfies_the_restricted_profile() -> None:
    context = container()["securityContext"]
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod().keys()


def test_the_image_runs_with_its_own_entrypoint() -> None:
    assert container()["name"] == "proxy"
    assert container()["image"] == "envoy:test"
    assert "command" not in container()


@pytest.mark.parametrize(
    ("seconds", "hook", "grace"),
    [(45, {"preStop": {"sleep": {"seconds": 45}}}, 60), (0, None, 15)],
    ids=["drain", "no drain"],
)
def test_a_pod_that_goes_serves_its_open_tunnels(seconds: int, hook: Manifest | None, grace: int) -> None:
    assert container(drain_seconds=seconds).get("lifecycle") == hook
    assert pod(drain_seconds=seconds)["terminationGracePeriodSeconds"] == grace


def test_readiness_is_envoys_own_and_liveness_only_that_it_listens() -> None:
    found = container()
    assert {port["name"]: port["containerPort"] for port in found["ports"]} == {"proxy": 8080, "metrics": 8081}
    assert found["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "metrics"}
    for name in ("startupProbe", "livenessProbe"):
        assert found[name]["tcpSocket"] == {"port": "metrics"}
        assert "httpGet" not in found[name]


def test_the_environment_is_what_the_bootstrap_refers_to() -> None:
    environment = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container()["env"]}
    assert environment == {
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "BIND_ADDRESS": {"fieldRef": {"fieldPath": "status.podIP"}},
        "PROXY_PORT": "8080",
        "STATS_PORT": "8081",
    }


def test_resources_have_defaults_and_a_key_given_is_a_key_replaced() -> None:
    assert container()["resources"] == {
        "requests": {"cpu": "50m", "memory": "128Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }
    given = container(proxy={"resources": {"limits": {"memory": "1Gi"}}})["resources"]
    assert given["limits"] == {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(("cpu", "threads"), [("1", "1"), ("250m", "1"), ("1500m", "2"), (4, "4")])
def test_envoy_has_a_thread_for_each_processor_it_may_use(cpu: str | int, threads: str) -> None:
    arguments = container(proxy={"resources": {"limits": {"cpu": cpu}}})["args"]
    assert arguments[arguments.index("--concurrency") + 1] == threads
    assert "--disable-hot-restart" in arguments


# -- bootstrap


def test_the_argument_expands_to_the_bootstrap_of_this_pod() -> None:
    option, text = container(proxy={"allowedHosts": ["*.example.com"], "accessLog": True})["args"][:2]
    assert option == "--config-yaml"
    assert "\n" not in text
    owner = make.gateway(proxy={"allowedHosts": ["*.example.com"], "accessLog": True})
    bootstrap = json.dumps(build_bootstrap(parse_gateway_spec("ci", owner["spec"]), PUBLIC_ONLY))
    for name, value in POD.items():
        assert f"$({name})" in bootstrap
        bootstrap = bootstrap.replace(f"$({name})", value)
    assert yaml.safe_load(expand(text, POD)) == json.loads(bootstrap)


@pytest.mark.parametrize("text", ["a$", "$$(PROXY_PORT)", "$(HOME)", "$(", "$$", "^x$|$y", "cost: $5"])
def test_no_other_dollar_of_the_bootstrap_is_expanded(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(proxy_deployment, "build_bootstrap", lambda *_: {"x": text, "y": "$(STATS_PORT)"})
    spec = parse_gateway_spec("ci", make.gateway()["spec"])
    expected = text.replace("$(PROXY_PORT)", "8080")
    assert yaml.safe_load(expand(render_bootstrap(spec, PUBLIC_ONLY), POD | {"HOME": "/root"})) == {
        "x": expected,
        "y": "8081",
    }


@pytest.mark.parametrize(
    "platform",
    [
        PlatformEgress(parse_egress_exceptions("ghes.example.com=10.2.0.0/16:443")),
        PlatformEgress(denied=parse_cidrs("20.30.0.0/16")),
    ],
    ids=["an exception", "a denied range"],
)
def test_what_the_platform_says_rolls_the_proxies(platform: PlatformEgress) -> None:
    settings = replace(make.SETTINGS, egress=platform)
    with_it, without = (make.children_of(make.gateway(), one)["Deployment", PROXY] for one in (settings, make.SETTINGS))
    assert with_it["spec"]["template"] != without["spec"]["template"]


# -- what surrounds it


def test_the_service_states_type_selector_and_port_alone() -> None:
    assert build("Service")["spec"] == {
        "type": "ClusterIP",
        "selector": {"app": PROXY},
        "ports": [{"name": "proxy", "port": 8080, "targetPort": "proxy", "protocol": "TCP"}],
    }


def test_the_budget_never_holds_up_a_drain() -> None:
    assert build("PodDisruptionBudget")["spec"] == {
        "maxUnavailable": 1,
        "selector": {"matchLabels": {"app": PROXY}},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def test_the_autoscaler_follows_the_spec_and_scales_down_slowly() -> None:
    proxy = {"minReplicas": 3, "maxReplicas": 7, "targetCPUUtilizationPercentage": 80}
    spec = build("HorizontalPodAutoscaler", proxy=proxy)["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": PROXY}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 7)
    (metric,) = spec["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    assert spec["behavior"]["scaleDown"] == {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
    }
