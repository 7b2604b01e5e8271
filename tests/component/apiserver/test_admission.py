"""Defaults and admission: what the server adds to new objects and what it refuses."""

import pytest

from support.apiserver import Api, Play
from support.manifests import Json, config_map, deployment, pod

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


async def limit(api: Api, **hard: str) -> None:
    """Makes the quota `compute` and waits until it is enforced."""
    await api.limit("compute", {key.replace("__", "/"): amount for key, amount in hard.items()})


def used(quota: Json) -> Json:
    """What a quota says is used."""
    found: Json = quota.get("status", {}).get("used", {})
    return found


def sized(name: str, **resources: Json) -> Json:
    return pod(name, container={"resources": resources})


def test_a_pod_gets_the_defaults_of_a_real_cluster(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = sized("p", limits={"cpu": "0.5", "memory": "1024Mi"})
        del body["spec"]["schedulerName"]
        created = await api.create("~/pods", body)
        spec = created["spec"]
        assert (spec["restartPolicy"], spec["dnsPolicy"], spec["terminationGracePeriodSeconds"]) == (
            "Always",
            "ClusterFirst",
            30,
        )
        assert (spec["serviceAccountName"], spec["schedulerName"]) == ("default", "default-scheduler")
        assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
        container = spec["containers"][0]
        same = {"cpu": "500m", "memory": "1Gi"}
        assert container["resources"] == {"limits": same, "requests": same}
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert created["status"] == {"phase": "Pending", "qosClass": "Guaranteed"}

    play(scenario)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("app", "Always"),
        ("host:5000/app:latest", "Always"),
        ("app:1", "IfNotPresent"),
        ("app@sha256:0", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_image_tag(play: Play, image: str, policy: str) -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/pods", pod(container={"image": image}))
        assert created["spec"]["containers"][0]["imagePullPolicy"] == policy

    play(scenario)


def test_a_deployment_gets_its_strategy_and_limits(play: Play) -> None:
    async def scenario(api: Api) -> None:
        spec = (await api.create("~apps/v1/deployments", deployment()))["spec"]
        assert spec["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
        }
        assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
        recreate = await api.create("~apps/v1/deployments", deployment("other", strategy={"type": "Recreate"}))
        assert recreate["spec"]["strategy"] == {"type": "Recreate"}

    play(scenario)


def test_the_ports_of_a_service_get_their_defaults(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body: Json = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "x"}}}
        spec = (await api.create("~/services", body))["spec"]
        assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
        assert (spec["type"], spec["sessionAffinity"]) == ("ClusterIP", "None")

    play(scenario)


def test_plain_secret_strings_are_stored_encoded(play: Play) -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/secrets", {"metadata": {"name": "s"}, "stringData": {"k": "v"}})
        assert (created["data"], created["type"]) == ({"k": "dg=="}, "Opaque")
        assert "stringData" not in created

    play(scenario)


def test_a_policy_that_lists_egress_rules_restricts_both_directions(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = {"metadata": {"name": "n"}, "spec": {"podSelector": {}, "egress": [{"ports": [{"port": 443}]}]}}
        created = await api.create("~networking.k8s.io/v1/networkpolicies", body)
        assert created["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert created["spec"]["egress"] == [{"ports": [{"port": 443, "protocol": "TCP"}]}]

    play(scenario)


def test_a_new_namespace_is_labelled_active_and_has_its_service_account(play: Play) -> None:
    async def scenario(api: Api) -> None:
        found = (await api.get(f"/api/v1/namespaces/{api.namespace}")).body
        assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": api.namespace}
        assert (found["status"]["phase"], found["spec"]["finalizers"]) == ("Active", ["kubernetes"])
        assert await api.names("~/serviceaccounts") == ["default"]

    play(scenario)


def test_nothing_is_created_in_a_namespace_that_does_not_exist(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.post("/api/v1/namespaces/nowhere/configmaps", config_map())
        assert answer.refusal == (404, "NotFound")
        assert answer.message == 'namespaces "nowhere" not found'

    play(scenario)


def test_a_pod_of_an_unknown_service_account_is_refused(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.post("~/pods", pod(serviceAccountName="ghost"))
        assert answer.refusal == (403, "Forbidden")
        assert answer.message == (
            f'pods "p" is forbidden: error looking up service account {api.namespace}/ghost: '
            'serviceaccount "ghost" not found'
        )

    play(scenario)


def test_a_priority_class_gives_its_value_and_an_unknown_one_is_refused(play: Play) -> None:
    async def scenario(api: Api) -> None:
        high = f"high-{api.namespace}"
        await api.create(CLASSES, {"metadata": {"name": high}, "value": 1000, "preemptionPolicy": "Never"})
        body = pod(priorityClassName=high)
        # Admission hears of the class by a watch.
        await api.until_answered(lambda: api.post("~/pods", body, dryRun="All"), lambda answer: answer.status == 201)
        spec = (await api.create("~/pods", body))["spec"]
        assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
        answer = await api.post("~/pods", pod("q", priorityClassName="ghost"))
        assert answer.refusal == (403, "Forbidden")
        assert answer.message == 'pods "q" is forbidden: no PriorityClass with name ghost was found'
        forged = await api.post("~/pods", pod("q", priority=5))
        assert "must not be provided in pod spec" in forged.message

    play(scenario)


def test_a_mount_of_a_volume_that_is_not_there_is_refused(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.post("~/pods", pod(container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]}))
        assert answer.message == 'Pod "p" is invalid: spec.containers[0].volumeMounts[0].name: Not found: "v"'

    play(scenario)


def test_a_quota_counts_pods_and_refuses_the_one_too_many(play: Play) -> None:
    async def scenario(api: Api) -> None:
        hard = {"requests.cpu": "1", "pods": "5", "count/pods": "9", "limits.memory": "2Gi"}
        await limit(api, **hard)
        await api.create("~/pods", sized("a", requests={"cpu": "600m"}, limits={"cpu": "1", "memory": "1Gi"}))
        found = (await api.get("~/resourcequotas/compute")).body
        assert found["status"]["hard"] == hard
        assert used(found) == {
            "requests.cpu": "600m",
            "pods": "1",
            "count/pods": "1",
            "limits.memory": "1Gi",
        }
        answer = await api.post("~/pods", sized("b", requests={"cpu": "500m"}, limits={"cpu": "1", "memory": "512Mi"}))
        assert answer.refusal == (403, "Forbidden")
        assert answer.message == (
            'pods "b" is forbidden: exceeded quota: compute, requested: requests.cpu=500m, '
            "used: requests.cpu=600m, limited: requests.cpu=1"
        )

    play(scenario)


def test_a_quota_asks_for_the_amounts_that_it_limits(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await limit(api, **{"limits.cpu": "4", "limits.memory": "4Gi"})
        answer = await api.post("~/pods", pod())
        assert answer.message == (
            'pods "p" is forbidden: failed quota: compute: must specify limits.cpu for: main; limits.memory for: main'
        )

    play(scenario)


@pytest.mark.parametrize("how", ["ends", "goes"])
def test_a_pod_that_ends_or_goes_gives_its_share_back(play: Play, how: str) -> None:
    async def scenario(api: Api) -> None:
        await limit(api, pods="1")
        await api.create("~/pods", pod("a"))
        assert (await api.post("~/pods", pod("b"))).status == 403
        if how == "ends":
            await api.patch("~/pods/a/status", {"status": {"phase": "Failed"}})
        else:
            await api.delete("~/pods/a")
        await api.until("~/resourcequotas/compute", lambda found: used(found) == {"pods": "0"})
        # Admission hears of it by a watch.
        await api.until_answered(lambda: api.post("~/pods", pod("b")), lambda answer: answer.status == 201)

    play(scenario)


def test_a_quota_on_object_counts_covers_other_kinds_too(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await limit(api, count__secrets="1")
        await api.create("~/secrets", {"metadata": {"name": "a"}})
        answer = await api.post("~/secrets", {"metadata": {"name": "b"}})
        assert "exceeded quota: compute, requested: count/secrets=1, used: count/secrets=1" in answer.message

    play(scenario)
