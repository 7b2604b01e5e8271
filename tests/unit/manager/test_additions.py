"""What others added beside what is applied, by the managed fields that an API server keeps, and how it goes again."""

import copy
import json
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, AGENT_CONTAINER, MANAGER_FIELDS, PROXY
from actions_gateway.manager.gateway.additions import clearing_patch, trim_managed_fields
from actions_gateway.manager.gateway.agreement import agrees
from support import manager_objects as make

Manifest = dict[str, Any]

AGENTS = ("Deployment", AGENT)
PROXIES = ("Deployment", PROXY)
SERVICE = ("Service", PROXY)
AUTOSCALER = ("HorizontalPodAutoscaler", PROXY)


def of_pods(fields: Manifest) -> Manifest:
    return {"f:template": {"f:spec": fields}}


def container(name: str, fields: Manifest) -> Manifest:
    return of_pods({"f:containers": {f"k:{json.dumps({'name': name})}": fields}})


def edited(
    key: tuple[str, str], fields: Manifest, spec: Manifest, manager: str = "kubectl-edit"
) -> tuple[Manifest, Manifest]:
    """The desired child, and the live one of whose spec somebody set these fields."""
    desired = make.children_of(make.gateway())[key]
    if key == PROXIES:
        del desired["spec"]["replicas"]
    live = copy.deepcopy(desired)
    overlay(live["spec"], spec)
    live["metadata"]["managedFields"] = [
        {"manager": MANAGER_FIELDS, "operation": "Apply", "fieldsV1": {"f:spec": {"f:selector": {}}}},
        {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": fields}},
    ]
    trim_managed_fields(live)
    return desired, live


def overlay(live: Manifest, changes: Manifest) -> None:
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(live.get(name), dict):
            overlay(live[name], value)
        else:
            live[name] = value


@pytest.mark.parametrize(
    ("key", "fields", "spec", "cleared"),
    [
        pytest.param(
            AGENTS,
            of_pods({"f:hostNetwork": {}}),
            {"template": {"spec": {"hostNetwork": True}}},
            {"template": {"spec": {"hostNetwork": None}}},
            id="a host network",
        ),
        pytest.param(
            AGENTS,
            of_pods({"f:nodeSelector": {}}),
            {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}},
            {"template": {"spec": {"nodeSelector": None}}},
            id="a node selector",
        ),
        pytest.param(AGENTS, {"f:paused": {}}, {"paused": True}, {"paused": None}, id="a paused rollout"),
        pytest.param(
            SERVICE,
            {"f:externalIPs": {}},
            {"externalIPs": ["192.0.2.1"]},
            {"externalIPs": None},
            id="an outside address",
        ),
        pytest.param(
            SERVICE,
            {"f:selector": {}},
            {"selector": {"more": "narrow"}},
            {"selector": {"more": None}},
            id="one value in which something is new",
        ),
        pytest.param(
            AUTOSCALER,
            {"f:behavior": {"f:scaleUp": {"f:tolerance": {}}}},
            {"behavior": {"scaleUp": {"tolerance": "0.1"}}},
            {"behavior": {"scaleUp": {"tolerance": None}}},
            id="a tolerance",
        ),
    ],
)
def test_an_addition_is_drift_and_goes_with_ours_put_beside_it(
    key: tuple[str, str], fields: Manifest, spec: Manifest, cleared: Manifest
) -> None:
    desired, live = edited(key, fields, spec)
    assert not agrees(desired, live)
    patch = clearing_patch(desired, live)
    expected = copy.deepcopy(desired["spec"])
    overlay(expected, cleared)
    assert patch == {"spec": expected}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(container("sidecar", {".": {}, "f:name": {}}), id="a sidecar"),
        pytest.param(container(AGENT_CONTAINER, {"f:command": {}}), id="a command"),
        pytest.param(
            container(AGENT_CONTAINER, {"f:env": {'k:{"name":"HTTPS_PROXY"}': {"f:value": {}}}}), id="a variable"
        ),
        pytest.param(
            container(AGENT_CONTAINER, {"f:ports": {'k:{"containerPort":8080,"protocol":"TCP"}': {"f:hostPort": {}}}}),
            id="a host port",
        ),
    ],
)
def test_in_a_list_ours_comes_back_whole(fields: Manifest) -> None:
    desired, live = edited(AGENTS, fields, {})
    assert clearing_patch(desired, live) == {"spec": desired["spec"]}
    assert not agrees(desired, live)


@pytest.mark.parametrize(
    ("key", "fields", "spec", "manager"),
    [
        pytest.param(
            PROXIES, {"f:replicas": {}}, {"replicas": 9}, "kube-controller-manager", id="an autoscaler's choice"
        ),
        pytest.param(
            PROXIES,
            {"f:template": {"f:metadata": {"f:annotations": {".": {}, f"f:{labels.RESTARTED_AT}": {}}}}},
            {"template": {"metadata": {"annotations": {labels.RESTARTED_AT: "2026-01-05T09:00:00Z"}}}},
            "kubectl-rollout",
            id="a restart",
        ),
        pytest.param(
            AGENTS,
            of_pods({"f:tolerations": {}}),
            {"template": {"spec": {"shared": 1}}},
            MANAGER_FIELDS,
            id="a webhook's",
        ),
        pytest.param(
            AGENTS,
            container(AGENT_CONTAINER, {"f:image": {}, "f:env": {'k:{"name":"LOG_LEVEL"}': {".": {}, "f:value": {}}}}),
            {},
            "exporter",
            id="the same as ours",
        ),
        pytest.param(SERVICE, {"f:selector": {}, "f:type": {}}, {}, "exporter", id="the same value as a whole"),
    ],
)
def test_what_others_may_set_and_what_is_as_ours_stays(
    key: tuple[str, str], fields: Manifest, spec: Manifest, manager: str
) -> None:
    desired, live = edited(key, fields, spec, manager)
    assert clearing_patch(desired, live) is None
    assert agrees(desired, live)


def test_another_annotation_beside_a_restart_goes_and_the_restart_stays() -> None:
    annotations = {labels.RESTARTED_AT: "2026-01-05T09:00:00Z", "inject": "true"}
    fields: Manifest = {"f:template": {"f:metadata": {"f:annotations": {f"f:{name}": {} for name in annotations}}}}
    desired, live = edited(PROXIES, fields, {"template": {"metadata": {"annotations": annotations}}})
    patch = clearing_patch(desired, live)
    assert patch is not None
    assert patch["spec"]["template"]["metadata"]["annotations"] == {"inject": None}


def test_of_managed_fields_only_what_others_have_in_the_spec_is_kept() -> None:
    live = make.children_of(make.gateway())[AGENTS]
    live["metadata"]["managedFields"] = [
        {"manager": MANAGER_FIELDS, "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "kube-controller-manager", "fieldsV1": {"f:status": {}}, "subresource": "status"},
    ]
    trim_managed_fields(live)
    assert "managedFields" not in live["metadata"]
