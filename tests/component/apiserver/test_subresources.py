"""Subresources: status, scale, binding, tokens and logs; and reviews."""

import functools
from datetime import datetime
from pathlib import Path

import pytest

from gateway_sandbox.certificates import SandboxCertificates
from support.apiserver import Api, Play
from support.clock import ManualClock
from support.kubelet import kubelet, node_name
from support.manifests import deployment, pod

REVIEW = "/apis/authentication.k8s.io/v1"


@pytest.fixture
def certificates(tmp_path: Path) -> SandboxCertificates:
    """Of the embedded server and its kubelets; the real server has its own."""
    return SandboxCertificates.create(tmp_path)


def test_scaling_changes_replicas_only(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~apps/v1/deployments", deployment())
        created = await api.settled("~apps/v1/deployments/web")
        scale = (await api.get("~apps/v1/deployments/web/scale")).body
        assert (scale["apiVersion"], scale["status"]) == ("autoscaling/v1", {"replicas": 0, "selector": "app=web"})
        answer = await api.put("~apps/v1/deployments/web/scale", scale | {"spec": {"replicas": 4}})
        assert answer.body["spec"] == {"replicas": 4}
        stale = await api.put("~apps/v1/deployments/web/scale", scale | {"spec": {"replicas": 5}})
        assert stale.refusal == (409, "Conflict")
        found = (await api.get("~apps/v1/deployments/web")).body
        assert found["spec"] == created["spec"] | {"replicas": 4}
        assert found["metadata"]["generation"] == 2

    play(scenario)


def test_a_pods_status_is_written_apart_from_its_spec(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/pods", pod())
        statuses = [{"name": "main", "ready": True, "restartCount": 0, "image": "i", "imageID": ""}]
        change = {"status": {"phase": "Running", "containerStatuses": statuses}, "spec": {"hostname": "x"}}
        answer = await api.patch("~/pods/p/status", change, "strategic")
        assert answer.body["status"]["containerStatuses"][0]["ready"] is True
        assert answer.body["status"]["qosClass"] == "BestEffort"
        assert "hostname" not in answer.body["spec"]
        conditions = [{"type": "Ready", "status": "True"}]
        both = await api.patch("~/pods/p/status", {"status": {"conditions": conditions}}, "strategic")
        more = {"status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}}
        both = await api.patch("~/pods/p/status", more, "strategic")
        assert len(both.body["status"]["conditions"]) == 2

    play(scenario)


def test_binding_assigns_a_pod_to_a_node_once(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/pods", pod())
        binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node_name(api)}}
        answer = await api.post("~/pods/p/binding", binding)
        assert (answer.status, answer.body["status"]) == (201, "Success")
        found = (await api.get("~/pods/p")).body
        assert found["spec"]["nodeName"] == node_name(api)
        scheduled = found["status"]["conditions"][0]
        assert (scheduled["type"], scheduled["status"]) == ("PodScheduled", "True")
        assert (await api.post("~/pods/p/binding", binding)).refusal == (409, "Conflict")

    play(scenario)


@pytest.mark.embedded_only("it moves the server's clock")
def test_a_service_account_token_works_until_it_expires(play: Play) -> None:
    clock = ManualClock()

    async def scenario(api: Api) -> None:
        answer = (await api.create("~/serviceaccounts/default/token", {"spec": {"expirationSeconds": 600}}))["status"]
        assert answer["expirationTimestamp"] == "2026-01-05T09:10:00Z"
        assert await is_known(api, answer["token"])
        await clock.advance(601)
        assert not await is_known(api, answer["token"])

    play(scenario, clock=clock)


def test_a_service_account_token_works_until_its_account_goes(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/serviceaccounts", {"metadata": {"name": "robot"}})
        token = (await api.create("~/serviceaccounts/robot/token", {"spec": {}}))["status"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = await api.request("POST", f"{REVIEW}/selfsubjectreviews", {}, headers)
        assert answer.body["status"]["userInfo"]["username"] == f"system:serviceaccount:{api.namespace}:robot"
        await api.delete("~/serviceaccounts/robot")
        ask = functools.partial(api.request, "POST", f"{REVIEW}/selfsubjectreviews", {}, headers)
        await api.until_answered(ask, lambda answer: answer.refusal == (401, "Unauthorized"))
        too_short = await api.post("~/serviceaccounts/default/token", {"spec": {"expirationSeconds": 60}})
        assert too_short.refusal == (422, "Invalid")
        assert "may not specify a duration less than 10 minutes" in too_short.message

    play(scenario)


async def is_known(api: Api, token: str) -> bool:
    """Whether a bearer token is accepted."""
    answer = await api.request("POST", f"{REVIEW}/selfsubjectreviews", {}, {"Authorization": f"Bearer {token}"})
    return answer.status == 201


def test_reviews_say_who_the_caller_is_and_what_an_administrator_may(play: Play) -> None:
    async def scenario(api: Api) -> None:
        review = await api.create(f"{REVIEW}/selfsubjectreviews", {})
        assert datetime.fromisoformat(review["metadata"]["creationTimestamp"]).tzinfo
        me = review["status"]["userInfo"]
        assert (me["username"], me["groups"]) == (api.access.user, ["system:masters", "system:authenticated"])
        known = await api.create(f"{REVIEW}/tokenreviews", {"spec": {"token": api.access.token}})
        assert known["status"]["user"]["username"] == api.access.user
        unknown = await api.create(f"{REVIEW}/tokenreviews", {"spec": {"token": "guess"}})
        assert unknown["status"] == {"user": {}, "error": "invalid bearer token"}
        access = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
        answer = await api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", access)
        assert answer["status"]["allowed"] is True

    play(scenario)


def test_logs_come_from_the_kubelet_of_the_pods_node(play: Play, certificates: SandboxCertificates) -> None:
    async def scenario(api: Api) -> None:
        async with kubelet(api):
            await api.create("~/pods", pod(nodeName=node_name(api)))
            answer = await api.get("~/pods/p/log", tailLines="10", timestamps="true", pretty="true")
            path = f"/containerLogs/{api.namespace}/p/main"
            assert answer.body == {"path": path, "query": {"tailLines": "10", "timestamps": "true"}}

    play(scenario, certificates=certificates)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "a container name must be specified for pod p, choose one of: [main silent]"),
        ({"container": "ghost"}, "container ghost is not valid for pod p"),
        ({"container": "silent"}, 'container "silent" in pod "p" is waiting to start'),
    ],
    ids=["which one", "unknown", "the kubelet's own refusal"],
)
def test_logs_that_cannot_be_had_say_why(
    play: Play, certificates: SandboxCertificates, query: dict[str, str], message: str
) -> None:
    async def scenario(api: Api) -> None:
        async with kubelet(api):
            body = pod(nodeName=node_name(api))
            body["spec"]["containers"].append({"name": "silent", "image": "i"})
            await api.create("~/pods", body)
            answer = await api.get("~/pods/p/log", **query)
            assert answer.refusal == (400, "BadRequest")
            assert answer.message == message

    play(scenario, certificates=certificates)


def test_logs_of_a_pod_without_a_node_are_empty_and_those_of_a_dead_kubelet_refused(
    play: Play, certificates: SandboxCertificates
) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/pods", pod("waiting"))
        waiting = await api.get("~/pods/waiting/log")
        assert (waiting.status, waiting.body) == (204, "")
        async with kubelet(api) as runner:
            await runner.cleanup()
            await api.create("~/pods", pod(nodeName=node_name(api)))
            answer = await api.get("~/pods/p/log")
            assert answer.status == 500
            assert f"/containerLogs/{api.namespace}/p/main" in answer.message

    play(scenario, certificates=certificates)
