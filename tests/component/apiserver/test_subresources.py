"""Subresources: status, scale, binding, tokens and logs; and reviews."""

import pytest
from aiohttp import web

from support.apiserver import TOKEN, USER, Api, Json, deployment, play, pod
from support.clock import ManualClock

REVIEW = "/apis/authentication.k8s.io/v1"


def test_scaling_changes_replicas_only() -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~apps/v1/deployments", deployment())
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


def test_a_pods_status_is_written_apart_from_its_spec() -> None:
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


def test_binding_assigns_a_pod_to_a_node_once() -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/pods", pod())
        binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
        answer = await api.post("~/pods/p/binding", binding)
        assert (answer.status, answer.body["status"]) == (201, "Success")
        found = (await api.get("~/pods/p")).body
        assert found["spec"]["nodeName"] == "n1"
        scheduled = found["status"]["conditions"][0]
        assert (scheduled["type"], scheduled["status"]) == ("PodScheduled", "True")
        assert (await api.post("~/pods/p/binding", binding)).refusal == (409, "Conflict")

    play(scenario)


def test_a_service_account_token_works_until_it_expires_or_its_account_goes() -> None:
    clock = ManualClock()

    async def scenario(api: Api) -> None:
        async def status_with(token: str) -> int:
            return (await api.get("~/pods", {"Authorization": f"Bearer {token}"})).status

        tokens = [
            (await api.create("~/serviceaccounts/default/token", {"spec": {"expirationSeconds": seconds}}))["status"]
            for seconds in (600, 7200)
        ]
        assert tokens[0]["expirationTimestamp"] == "2026-01-05T09:10:00Z"
        short, long = [one["token"] for one in tokens]
        assert [await status_with(short), await status_with(long)] == [200, 200]
        await clock.advance(601)
        assert [await status_with(short), await status_with(long)] == [401, 200]
        await api.delete("~/serviceaccounts/default")
        assert await status_with(long) == 401

    play(scenario, clock=clock)


def test_reviews_say_who_the_caller_is_and_that_everything_is_allowed() -> None:
    async def scenario(api: Api) -> None:
        me = (await api.create(f"{REVIEW}/selfsubjectreviews", {}))["status"]["userInfo"]
        assert (me["username"], me["groups"]) == (USER, ["system:masters", "system:authenticated"])
        known = await api.create(f"{REVIEW}/tokenreviews", {"spec": {"token": TOKEN}})
        assert known["status"]["user"]["username"] == USER
        unknown = await api.create(f"{REVIEW}/tokenreviews", {"spec": {"token": "guess"}})
        assert unknown["status"] == {"error": "invalid bearer token"}
        access = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
        answer = await api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", access)
        assert answer["status"]["allowed"] is True
        other = await api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", access)
        assert other.refusal == (501, "NotImplemented")
        assert other.message.endswith("does not serve subjectaccessreviews.authorization.k8s.io")

    play(scenario)


def node(port: int) -> Json:
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
    endpoints = {"kubeletEndpoint": {"Port": port}}
    return {"metadata": {"name": "n1"}, "status": {"addresses": addresses, "daemonEndpoints": endpoints}}


async def kubelet(api: Api) -> web.AppRunner:
    """A kubelet API that answers with what it was asked, and the node that publishes it."""

    async def logs(request: web.Request) -> web.Response:
        if request.match_info["container"] == "silent":
            return web.Response(status=400, text='container "silent" in pod "p" is waiting to start')
        return web.Response(text=f"{request.path}?{request.query_string}\n")

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await api.create("/api/v1/nodes", node(runner.addresses[0][1]))
    return runner


def test_logs_come_from_the_kubelet_of_the_pods_node() -> None:
    async def scenario(api: Api) -> None:
        runner = await kubelet(api)
        try:
            await api.create("~/pods", pod(nodeName="n1"))
            answer = await api.get("~/pods/p/log", tailLines="10", timestamps="true", pretty="true")
            assert answer.body == f"/containerLogs/{api.namespace}/p/main?timestamps=true&tailLines=10\n"
        finally:
            await runner.cleanup()

    play(scenario)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "a container name must be specified for pod p, choose one of: [main silent]"),
        ({"container": "ghost"}, "container ghost is not valid for pod p"),
        ({"container": "silent"}, 'container "silent" in pod "p" is waiting to start'),
    ],
    ids=["which one", "unknown", "the kubelet's own refusal"],
)
def test_logs_that_cannot_be_had_say_why(query: dict[str, str], message: str) -> None:
    async def scenario(api: Api) -> None:
        runner = await kubelet(api)
        try:
            body = pod(nodeName="n1")
            body["spec"]["containers"].append({"name": "silent", "image": "i"})
            await api.create("~/pods", body)
            answer = await api.get("~/pods/p/log", **query)
            assert answer.refusal == (400, "BadRequest")
            assert answer.message == message
        finally:
            await runner.cleanup()

    play(scenario)


def test_logs_of_a_pod_without_a_node_or_of_a_dead_kubelet_are_refused() -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/pods", pod("waiting"))
        waiting = await api.get("~/pods/waiting/log")
        assert waiting.message == "pod waiting does not have a host assigned"
        runner = await kubelet(api)
        await runner.cleanup()
        await api.create("~/pods", pod(nodeName="n1"))
        assert (await api.get("~/pods/p/log")).refusal == (500, "InternalError")

    play(scenario)
