"""What the embedded server leaves out and our system counts on where a real API server runs it."""

import asyncio
from typing import Any

import pytest

from actions_gateway.kube import errors
from actions_gateway.kube.resources import CONFIGMAPS, HPAS
from support.apiserver import Answer, Api, Play, conditions
from support.manifests import WIDGETS, Json, config_map, deployment, pod, widget, widget_crd

DEPLOYMENTS = "~apps/v1/deployments"
HPA_PATH = "~autoscaling/v2/horizontalpodautoscalers"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
LEFT_OUT = "the embedded server leaves it out"


# -- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.real_only(LEFT_OUT)
def test_a_list_comes_in_pages_of_one_moment(play: Play) -> None:
    async def scenario(api: Api) -> None:
        for index in range(5):
            await api.create("~/secrets", {"metadata": {"name": f"s{index}"}})
        first = await api.get("~/secrets", limit="2")
        assert first.body["metadata"]["remainingItemCount"] == 3
        await api.delete("~/secrets/s4")
        rest = await api.get("~/secrets", **{"limit": "9", "continue": first.body["metadata"]["continue"]})
        names = [item["metadata"]["name"] for item in first.body["items"] + rest.body["items"]]
        assert names == [f"s{index}" for index in range(5)]
        assert rest.version == first.version

    play(scenario)


@pytest.mark.real_only(LEFT_OUT)
def test_a_page_of_a_token_that_nobody_gave_is_refused(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.get("~/secrets", **{"limit": "2", "continue": "token"})
        assert answer.refusal == (400, "BadRequest")
        assert "continue key is not valid" in answer.message

    play(scenario)


@pytest.mark.real_only(LEFT_OUT)
def test_our_client_lists_page_after_page(play: Play) -> None:
    """One more than a page of 500 holds."""
    body: Json = {"metadata": {"generateName": "page-", "labels": {"app": "pages"}}}

    async def scenario(api: Api) -> None:
        async with api.client() as client:
            lanes = asyncio.Semaphore(20)

            async def create() -> None:
                async with lanes:
                    await api.post("~/configmaps", body)

            async with asyncio.TaskGroup() as group:
                for _ in range(501):
                    group.create_task(create())
            first = await api.get("~/configmaps", labelSelector="app=pages", limit="500")
            assert len(first.body["items"]) == 500
            listed = await client.list(CONFIGMAPS, api.namespace, label_selector="app=pages")
            assert len({item["metadata"]["name"] for item in listed.items}) == 501
            assert {item["kind"] for item in listed.items} == {"ConfigMap"}

    play(scenario)


@pytest.mark.real_only(LEFT_OUT)
def test_a_streamed_list_ends_its_beginning_with_a_marked_bookmark(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/secrets", {"metadata": {"name": "s"}})
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        async with api.watch("~/secrets", **query) as watch:
            assert (await watch.next())[1]["metadata"]["name"] == "s"
            kind, bookmark = await watch.next()
        assert kind == "BOOKMARK"
        assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    play(scenario)


@pytest.mark.real_only(LEFT_OUT)
def test_an_answer_can_be_metadata_alone(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/secrets", {"metadata": {"name": "s"}, "stringData": {"k": "v"}})
        accept = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
        answer = await api.get("~/secrets", accept)
        assert answer.body["kind"] == "PartialObjectMetadataList"
        assert "data" not in answer.body["items"][0]

    play(scenario)


# -- deletion --------------------------------------------------------------------------------------------------------


def owned(name: str, owner: Json) -> Json:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"]}
    return {"metadata": {"name": name, "ownerReferences": [reference | {"uid": owner["metadata"]["uid"]}]}}


@pytest.mark.real_only(LEFT_OUT)
def test_orphans_stay_without_their_owner(play: Play) -> None:
    async def scenario(api: Api) -> None:
        owner = await api.create("~/configmaps", config_map("owner"))
        await api.create("~/configmaps", owned("child", owner))
        await api.delete("~/configmaps/owner", {"propagationPolicy": "Orphan"})
        await api.until_gone("~/configmaps/owner")
        assert "ownerReferences" not in (await api.get("~/configmaps/child")).body["metadata"]

    play(scenario)


@pytest.mark.real_only(LEFT_OUT)
def test_a_whole_collection_is_deleted_by_one_request(play: Play) -> None:
    async def scenario(api: Api) -> None:
        for name, keep in (("a", "no"), ("b", "yes"), ("c", "no")):
            await api.create("~/secrets", {"metadata": {"name": name, "labels": {"keep": keep}}})
        await api.delete("~/secrets", labelSelector="keep=no")
        assert await api.names("~/secrets") == ["b"]

    play(scenario)


@pytest.mark.real_only(LEFT_OUT)
def test_a_disruption_budget_holds_an_eviction_back(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = pod(nodeName=f"node-{api.namespace}")
        body["metadata"]["labels"] = {"app": "web"}
        await api.create("~/pods", body)
        ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        await api.patch("~/pods/p/status", ready)
        budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
        path = "~policy/v1/poddisruptionbudgets"
        await api.create(path, {"metadata": {"name": "web"}, "spec": budget})
        await api.until(f"{path}/web", lambda found: found.get("status", {}).get("observedGeneration") == 1)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
        refused = await api.post("~/pods/p/eviction", eviction)
        assert refused.refusal == (429, "TooManyRequests")
        assert "would violate the pod's disruption budget" in refused.message
        await api.delete(f"{path}/web")
        await api.until_gone(f"{path}/web")
        accepted = await api.until_answered(
            lambda: api.post("~/pods/p/eviction", eviction), lambda answer: answer.status != 429
        )
        assert accepted.status == 201
        assert "deletionTimestamp" in (await api.get("~/pods/p")).body["metadata"]

    play(scenario)


# -- owners of fields ------------------------------------------------------------------------------------------------


@pytest.mark.real_only("the embedded server knows one version of each built-in kind")
def test_a_field_set_through_another_version_still_has_its_owner(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create(DEPLOYMENTS, deployment("d"))
        await api.apply(f"{HPA_PATH}/d", hpa(), "one")
        old = "~autoscaling/v1/horizontalpodautoscalers/d"
        body = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "d"}}
        answer = await api.apply(old, body | {"spec": {"maxReplicas": 9}}, "two")
        assert answer.refusal == (409, "Conflict")
        assert answer.message == 'Apply failed with 1 conflict: conflict with "one": .spec.maxReplicas'

    play(scenario)


# -- policies --------------------------------------------------------------------------------------------------------


@pytest.mark.real_only(LEFT_OUT)
def test_an_admission_policy_refuses_what_it_forbids_with_its_message(play: Play) -> None:
    async def scenario(api: Api) -> None:
        name = f"no-red.{api.group}"
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["configmaps"],
        }
        policy = {
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [
                    {
                        "expression": "!has(object.data) || !('colour' in object.data) || object.data.colour != 'red'",
                        "messageExpression": "'data.colour: red is not allowed in ' + object.metadata.namespace",
                    }
                ],
            },
        }
        selector = {"matchLabels": {"kubernetes.io/metadata.name": api.namespace}}
        binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}}
        await api.create(POLICIES, policy)
        await api.create(BINDINGS, {"metadata": {"name": name}, "spec": binding})

        async def attempt() -> Answer:
            return await api.post("~/configmaps", config_map(colour="red"), dryRun="All")

        # A policy is in force once the server has compiled it.
        denied = await api.until_answered(attempt, lambda answer: answer.status != 201)
        assert denied.refusal == (422, "Invalid")
        assert denied.message == (
            f"configmaps \"settings\" is forbidden: ValidatingAdmissionPolicy '{name}' with binding '{name}' "
            f"denied request: data.colour: red is not allowed in {api.namespace}"
        )
        await api.create("~/configmaps", config_map(colour="blue"))
        async with api.client() as client:
            with pytest.raises(errors.Invalid, match="red is not allowed"):
                await client.patch(CONFIGMAPS, "settings", {"data": {"colour": "red"}}, namespace=api.namespace)

    play(scenario)


# -- autoscaling -----------------------------------------------------------------------------------------------------


def hpa(**spec: Any) -> Json:
    """An autoscaler on CPU, as our proxy pool has one."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    goal = {"type": "Utilization", "averageUtilization": 60}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": goal}}]
    scale_down = {"stabilizationWindowSeconds": 300, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    body = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 6, "metrics": metrics}
    typed = {"apiVersion": HPAS.api_version, "kind": HPAS.kind, "metadata": {"name": "d"}}
    return typed | {"spec": body | {"behavior": {"scaleDown": scale_down}} | spec}


@pytest.mark.real_only("the conversion between versions and the controller are the real cluster's")
def test_an_autoscaler_makes_the_round_trip_through_both_versions(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create(DEPLOYMENTS, deployment("d", paused=False))
        applied = await api.apply(f"{HPA_PATH}/d", hpa(), "one")
        assert applied.status == 201
        wanted = hpa()["spec"]
        assert {name: applied.body["spec"][name] for name in wanted if name != "behavior"} == {
            name: value for name, value in wanted.items() if name != "behavior"
        }
        behavior = applied.body["spec"]["behavior"]["scaleDown"]
        assert behavior["policies"] == wanted["behavior"]["scaleDown"]["policies"]
        old = (await api.get("~autoscaling/v1/horizontalpodautoscalers/d")).body["spec"]
        assert (old["minReplicas"], old["maxReplicas"], old["targetCPUUtilizationPercentage"]) == (2, 6, 60)
        again = await api.apply(f"{HPA_PATH}/d", hpa(), "one")
        assert again.body["spec"] == applied.body["spec"]
        # Its controller sees the target and, without a metrics API, says that it cannot measure.
        found = await api.until(f"{HPA_PATH}/d", lambda one: {"AbleToScale", "ScalingActive"} <= condition_types(one))
        reasons = {one["type"]: (one["status"], one["reason"]) for one in conditions(found)}
        assert reasons["AbleToScale"][0] == "True"
        assert reasons["ScalingActive"] == ("False", "FailedGetResourceMetric")

    play(scenario)


def condition_types(obj: Json) -> set[str]:
    return {one["type"] for one in conditions(obj)}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"minReplicas": 7}, "must be greater than or equal to `minReplicas`"),
        ({"scaleTargetRef": {"kind": "Deployment", "name": "d"}}, "apiVersion must specify API group"),
    ],
    ids=["bounds", "target"],
)
@pytest.mark.real_only("value rules of built-in kinds are the real server's")
def test_an_autoscaler_that_makes_no_sense_is_refused(play: Play, spec: Json, message: str) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.post(HPA_PATH, hpa(**spec))
        assert answer.refusal == (422, "Invalid")
        assert message in answer.message

    play(scenario)


# -- rights ----------------------------------------------------------------------------------------------------------


@pytest.mark.real_only("the embedded server enforces no authorization")
def test_who_has_no_role_is_refused_by_name(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/serviceaccounts", {"metadata": {"name": "robot"}})
        token = (await api.create("~/serviceaccounts/robot/token", {"spec": {}}))["status"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = await api.get("~/secrets", headers)
        who = f"system:serviceaccount:{api.namespace}:robot"
        assert answer.refusal == (403, "Forbidden")
        assert answer.message.startswith(f'secrets is forbidden: User "{who}" cannot list resource "secrets"')
        role = {
            "metadata": {"name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}],
        }
        await api.create("~rbac.authorization.k8s.io/v1/roles", role)
        subject = {"kind": "ServiceAccount", "name": "robot", "namespace": api.namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
        binding = {"metadata": {"name": "reader"}, "subjects": [subject], "roleRef": reference}
        await api.create("~rbac.authorization.k8s.io/v1/rolebindings", binding)
        await api.until_answered(lambda: api.get("~/secrets", headers), lambda answer: answer.status == 200)
        assert (await api.get("~/configmaps", headers)).status == 403

    play(scenario)


@pytest.mark.real_only("the embedded server stores Pod Security levels only")
def test_a_pod_below_the_namespaces_level_is_refused(play: Play) -> None:
    async def scenario(api: Api) -> None:
        level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
        await api.patch(f"/api/v1/namespaces/{api.namespace}", level)
        privileged = pod(container={"securityContext": {"privileged": True}})
        # Admission hears of the level by a watch.
        answer = await api.until_answered(
            lambda: api.post("~/pods", privileged, dryRun="All"), lambda answer: answer.status != 201
        )
        assert answer.refusal == (403, "Forbidden")
        assert 'violates PodSecurity "baseline:latest": privileged' in answer.message
        await api.create("~/pods", pod())

    play(scenario)


@pytest.mark.real_only("the embedded server evaluates no CEL")
def test_a_transition_rule_compares_with_the_stored_object(play: Play) -> None:
    async def scenario(api: Api) -> None:
        crd = widget_crd(group=api.group)
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        spec["properties"]["size"]["x-kubernetes-validations"] = [
            {"rule": "self >= oldSelf", "message": "a widget does not shrink"}
        ]
        await api.serve(crd, is_shared=False)
        path = f"~{api.group}/v1/widgets"
        await api.create(path, widget(group=api.group))
        answer = await api.patch(f"{path}/w", {"spec": {"size": 2}})
        assert answer.message.endswith("spec.size: Invalid value: 2: a widget does not shrink")
        assert (await api.patch(f"{path}/w", {"spec": {"size": 4}})).status == 200

    play(scenario)


@pytest.mark.real_only("the embedded server leaves numeric label selectors out")
def test_labels_are_compared_as_numbers(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        for name, rank in (("low", "5"), ("high", "10")):
            body = widget(name)
            body["metadata"]["labels"] = {"rank": rank}
            await api.create(WIDGETS, body)
        assert await api.names(WIDGETS, labelSelector="rank>7") == ["high"]

    play(scenario)
