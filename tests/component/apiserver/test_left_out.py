"""What the embedded server leaves out: each line of the list that `gw sandbox up` prints, with the refusal it means."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway_sandbox.apiserver.server import LEFT_OUT, REFUSED, WITHOUT_EFFECT
from support.apiserver import Api, Play
from support.manifests import CRDS, Json, config_map, pod, widget, widget_crd

EMBEDDED_ONLY = pytest.mark.embedded_only("a real server serves what is refused here")
SENTENCE = "the embedded sandbox API server does not serve"


@dataclass(frozen=True)
class Request:
    """One request and the code of its refusal, whose message holds `says`."""

    method: str
    path: str
    code: int
    says: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        options = " ".join(f"{name}={value}" for name, value in self.query.items())
        return f"{self.method} {self.path.strip('~/')} {options}".strip()


def webhook_crd() -> Json:
    crd = widget_crd()
    crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}}
    return crd


DEPLOYMENT_AS_PROTOBUF = b"k8s\x00" + b"\x0a\x15" + b"\x0a\x07apps/v1" + b"\x12\x0aDeployment"
"""The envelope holds a TypeMeta with apiVersion and kind, each a length and its text."""

NOT_SERVED = [
    ("apps/v1", "statefulsets"),
    ("apps/v1", "daemonsets"),
    ("batch/v1", "jobs"),
    ("batch/v1", "cronjobs"),
    ("networking.k8s.io/v1", "ingresses"),
]
SCOPED = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}}
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
PROTOBUF = {"Content-Type": "application/vnd.kubernetes.protobuf"}

REQUESTS: list[tuple[str, list[Request]]] = [
    (
        "exec, attach",
        [
            Request("GET", "~/pods/p/exec", 501, "pods/exec"),
            Request("POST", "~/pods/p/attach", 501, "pods/attach", {}),
            Request("GET", "~/pods/p/portforward", 501, "pods/portforward"),
            Request("GET", "~/pods/p/proxy/metrics", 501, "pods/proxy"),
            Request("GET", "~/services/s/proxy", 501, "services/proxy"),
        ],
    ),
    (
        "StatefulSets",
        [
            *(Request("GET", f"~{version}/{plural}", 404, f"{plural} of {version}") for version, plural in NOT_SERVED),
            Request("GET", "~/persistentvolumeclaims", 404, "persistentvolumeclaims of v1"),
            Request("GET", "/apis/storage.k8s.io/v1/storageclasses", 404, "storageclasses of storage.k8s.io/v1"),
        ],
    ),
    (
        "admission webhooks",
        [
            Request("POST", f"/apis/{group}/{plural}", 404, f"{plural} of {group}", {})
            for group, plural in (
                ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"),
                ("admissionregistration.k8s.io/v1", "validatingadmissionpolicies"),
                ("apiregistration.k8s.io/v1", "apiservices"),
                ("metrics.k8s.io/v1beta1", "nodes"),
            )
        ],
    ),
    ("conversion webhooks", [Request("POST", CRDS, 422, "conversion webhooks", webhook_crd())]),
    (
        "ephemeral containers",
        [
            Request("PATCH", "~/pods/p/ephemeralcontainers", 501, "pods/ephemeralcontainers", {}),
            Request("PATCH", "~/pods/p/resize", 501, "pods/resize", {}),
        ],
    ),
    ("pods/eviction", [Request("POST", "~/pods/p/eviction", 501, "pods/eviction", {})]),
    (
        "Orphan propagation",
        [
            *(
                Request(
                    "DELETE", "~/configmaps/settings", 501, "propagation of deletions, only Background and", options
                )
                for options in (
                    {"propagationPolicy": "Orphan"},
                    {"orphanDependents": True},
                )
            ),
            Request(
                "DELETE", "~/configmaps", 501, "kubectl delete --all deletes one by one", None, {}, {"dryRun": "All"}
            ),
            Request("PUT", "/api/v1/namespaces/default/finalize", 501, "namespaces/finalize", {}),
        ],
    ),
    (
        "pages and streams",
        [
            Request("GET", "~/configmaps", 501, "lists in pages", None, {}, {"limit": "2", "continue": "token"}),
            Request("GET", "~/configmaps", 406, "PartialObjectMetadata", None, {"Accept": METADATA_ONLY}),
            Request("GET", "~/configmaps", 400, "numeric label selectors", None, {}, {"labelSelector": "size>3"}),
        ],
    ),
    ("scopes", [Request("POST", "~/resourcequotas", 422, "ResourceQuota scopes", SCOPED)]),
    (
        "reviews",
        [
            Request("POST", f"/apis/authorization.k8s.io/v1/{plural}", 501, f"{plural}.authorization.k8s.io", {})
            for plural in ("subjectaccessreviews", "selfsubjectrulesreviews")
        ],
    ),
    (
        "protobuf",
        [
            Request(
                "POST",
                "~apps/v1/deployments",
                415,
                "reads apps/v1 Deployment as JSON",
                DEPLOYMENT_AS_PROTOBUF,
                PROTOBUF,
            )
        ],
    ),
]
CASES = [pytest.param(request, id=request.id) for _, requests in REQUESTS for request in requests]


@EMBEDDED_ONLY
@pytest.mark.parametrize("wanted", CASES)
def test_a_request_for_it_is_refused_by_name_and_changes_nothing(play: Play, wanted: Request) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/pods", pod())
        created = await api.create("~/configmaps", config_map())
        headers = {"Content-Type": "application/merge-patch+json"} if wanted.method == "PATCH" else {}
        answer = await api.request(wanted.method, wanted.path, wanted.body, headers | wanted.headers, **wanted.query)
        assert answer.status == wanted.code
        assert (answer.body["kind"], answer.body["status"]) == ("Status", "Failure")
        assert wanted.says in answer.message
        assert SENTENCE in answer.message or wanted.code == 415
        assert (await api.get("~/configmaps/settings")).body == created

    play(scenario)


def test_every_line_has_its_refusals() -> None:
    assert len(REQUESTS) == len(REFUSED)
    for line, (beginning, requests) in zip(REFUSED, REQUESTS, strict=True):
        assert line.startswith(beginning)
        assert requests


def test_the_list_is_short_enough_to_be_printed() -> None:
    assert (*REFUSED, *WITHOUT_EFFECT) == LEFT_OUT
    assert len(LEFT_OUT) <= 16
    assert all(len(line) <= 120 for line in LEFT_OUT)


@EMBEDDED_ONLY
def test_a_streamed_list_is_refused_as_a_server_without_the_feature_does_so_that_clients_fall_back(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.get("~/configmaps", watch="true", sendInitialEvents="true")
        assert answer.refusal == (422, "Invalid")
        assert answer.message.startswith("sendInitialEvents: Forbidden")

    play(scenario)


@EMBEDDED_ONLY
def test_a_list_is_whole_whatever_its_limit(play: Play) -> None:
    async def scenario(api: Api) -> None:
        for index in range(5):
            await api.create("~/configmaps", config_map(f"c{index}"))
        answer = (await api.get("~/configmaps", limit="2")).body
        assert [item["metadata"]["name"] for item in answer["items"]] == [f"c{index}" for index in range(5)]
        assert "continue" not in answer["metadata"]

    play(scenario)


@EMBEDDED_ONLY
def test_what_has_no_effect_is_accepted_all_the_same(play: Play) -> None:
    """Someone without a role reads, a CEL rule and a Pod Security level hold nobody back."""

    async def scenario(api: Api) -> None:
        await api.create("~/serviceaccounts", {"metadata": {"name": "nobody"}})
        token = (await api.create("~/serviceaccounts/nobody/token", {"spec": {}}))["status"]["token"]
        assert (await api.get("~/secrets", {"Authorization": f"Bearer {token}"})).status == 200
        crd = widget_crd()
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        spec["x-kubernetes-validations"] = [{"rule": "self.size == 1", "message": "one size"}]
        await api.serve(crd)
        await api.create("~demo.example.com/v1/widgets", widget(size=3))
        level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
        await api.patch(f"/api/v1/namespaces/{api.namespace}", level)
        created = await api.create("~/pods", pod(container={"securityContext": {"privileged": True}}))
        assert created["spec"].get("volumes") is None

    play(scenario)
