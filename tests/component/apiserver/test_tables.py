"""Tables for `kubectl get`: the columns of every kind that we use."""

from unittest.mock import ANY

import pytest

from support.apiserver import Api, Play
from support.manifests import Json

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
COLUMNS = {
    "/api/v1/namespaces": "Name | Status | Age",
    "/api/v1/pods": ("Name | Ready | Status | Restarts | Age | IP* | Node* | Nominated Node* | Readiness Gates*"),
    "/api/v1/services": "Name | Type | Cluster-IP | External-IP | Port(s) | Age | Selector*",
    "/api/v1/secrets": "Name | Type | Data | Age",
    "/api/v1/configmaps": "Name | Data | Age",
    "/api/v1/serviceaccounts": "Name | Age",
    "/api/v1/events": (
        "Last Seen | Type | Reason | Object | Subobject* | Source* | Message | First Seen* | Count* | Name*"
    ),
    "/api/v1/resourcequotas": "Name | Request | Limit | Age",
    "/api/v1/limitranges": "Name | Created At",
    "/api/v1/nodes": (
        "Name | Status | Roles | Age | Version | Internal-IP* | External-IP* | OS-Image* | Kernel-Version* "
        "| Container-Runtime*"
    ),
    "/apis/apps/v1/deployments": ("Name | Ready | Up-to-date | Available | Age | Containers* | Images* | Selector*"),
    "/apis/apps/v1/replicasets": "Name | Desired | Current | Ready | Age | Containers* | Images* | Selector*",
    "/apis/autoscaling/v2/horizontalpodautoscalers": (
        "Name | Reference | Targets | MinPods | MaxPods | Replicas | Age"
    ),
    "/apis/networking.k8s.io/v1/networkpolicies": "Name | Pod-Selector | Age",
    "/apis/policy/v1/poddisruptionbudgets": "Name | Min Available | Max Unavailable | Allowed Disruptions | Age",
    "/apis/rbac.authorization.k8s.io/v1/roles": "Name | Created At",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings": "Name | Role | Age | Users* | Groups* | ServiceAccounts*",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles": "Name | Created At",
    "/apis/coordination.k8s.io/v1/leases": "Name | Holder | Age",
    "/apis/scheduling.k8s.io/v1/priorityclasses": "Name | Value | Global-Default | Age | PreemptionPolicy",
    "/apis/discovery.k8s.io/v1/endpointslices": "Name | AddressType | Ports | Endpoints | Age",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": "Name | Created At",
}
"""A star marks what only `-o wide` shows."""


@pytest.mark.parametrize("path", COLUMNS, ids=lambda path: path.rsplit("/", 1)[-1])
def test_a_kind_has_the_columns_of_a_real_cluster(play: Play, path: str) -> None:
    async def scenario(api: Api) -> None:
        table = (await api.get(path, TABLE)).body
        assert table["kind"] == "Table"
        columns = table["columnDefinitions"]
        assert " | ".join(one["name"] + ("*" if one["priority"] else "") for one in columns) == COLUMNS[path]
        dates = {one["name"]: one["type"] for one in columns if one["name"] in ("Age", "Created At")}
        assert dates.items() <= {("Age", "string"), ("Created At", "date")}
        assert [one["format"] for one in columns if one["name"] == "Name"] == ["name"]

    play(scenario)


@pytest.mark.parametrize(
    ("path", "body", "cells"),
    [
        ("~/configmaps", {"data": {"a": "1", "b": "2"}}, ["x", 2]),
        ("~/secrets", {"stringData": {"a": "1"}}, ["x", "Opaque", 1]),
        ("~networking.k8s.io/v1/networkpolicies", {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}, ["x", "a=b"]),
        (
            "~policy/v1/poddisruptionbudgets",
            {"spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}},
            ["x", "50%", "N/A", 0],
        ),
        ("~coordination.k8s.io/v1/leases", {"spec": {"holderIdentity": "me"}}, ["x", "me"]),
        (
            "~discovery.k8s.io/v1/endpointslices",
            {
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}],
                "ports": [{"port": 80, "name": "http"}, {"port": 81, "name": "more"}],
            },
            ["x", "IPv4", "80,81", "10.0.0.1,10.0.0.2"],
        ),
        (
            "~rbac.authorization.k8s.io/v1/rolebindings",
            {
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
                "subjects": [
                    *(
                        {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
                        for name in ("ann", "bob")
                    ),
                    {"kind": "ServiceAccount", "name": "robot", "namespace": "here"},
                ],
            },
            ["x", "ClusterRole/view", ANY, "ann, bob", "", "here/robot"],
        ),
    ],
    ids=lambda value: value.rsplit("/", 1)[-1] if isinstance(value, str) else "",
)
def test_a_row_shows_what_a_real_cluster_shows(play: Play, path: str, body: Json, cells: list[object]) -> None:
    async def scenario(api: Api) -> None:
        await api.create(path, body | {"metadata": {"name": "x"}})
        row = (await api.get(f"{path}/x", TABLE)).body["rows"][0]
        assert row["cells"][: len(cells)] == cells
        assert row["object"]["kind"] == "PartialObjectMetadata"
        assert row["object"]["metadata"]["name"] == "x"

    play(scenario)


def test_an_autoscalers_row_shows_each_reading_beside_its_goal(play: Play) -> None:
    path = "~autoscaling/v2/horizontalpodautoscalers"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "absent"}
    goal = {"type": "Utilization", "averageUtilization": 60}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": goal}}]
    current = {"averageUtilization": 7, "averageValue": "7m"}
    read = [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]

    async def scenario(api: Api) -> None:
        spec = {"scaleTargetRef": target, "maxReplicas": 3, "metrics": metrics}
        await api.create(path, {"metadata": {"name": "x"}, "spec": spec})

        async def cells() -> list[object]:
            return list((await api.get(f"{path}/x", TABLE)).body["rows"][0]["cells"][:3])

        assert await cells() == ["x", "Deployment/absent", "cpu: <unknown>/60%"]
        status = {"currentReplicas": 1, "desiredReplicas": 1, "currentMetrics": read}
        assert (await api.patch(f"{path}/x/status", {"status": status})).status == 200
        assert await cells() == ["x", "Deployment/absent", "cpu: 7%/60%"]

    play(scenario)
