"""Plain kubectl that looks: the commands of the runbook, without a special word, on both API servers."""

import json
from pathlib import Path

import pytest
import yaml

from support.apiserver import Api, Play
from support.kubectl_play import Kubectl, run_kubectl
from support.kubelet import kubelet, node_name
from support.manifests import WIDGET_GROUP, WIDGETS, deployment, pod, widget, widget_crd

WIDGET = f"widgets.{WIDGET_GROUP}"


def test_get_prints_the_columns_of_a_real_cluster(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.create("~/pods", pod(nodeName=node_name(api)))
        status = {"name": "main", "ready": True, "restartCount": 2, "image": "i", "imageID": ""}
        change = {
            "status": {
                "phase": "Running",
                "podIP": "10.0.0.1",
                "containerStatuses": [status | {"state": {"running": {}}}],
            }
        }
        await api.patch("~/pods/p/status", change)
        await api.create("~apps/v1/deployments", deployment())
        await api.create(
            "~/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "3", "limits.cpu": "1"}}}
        )
        await api.until(
            "~/resourcequotas/q", lambda found: (found.get("status") or {}).get("used", {}).get("pods") == "1"
        )
        pods = (await kubectl.ok("get", "po", "-o", "wide")).words
        assert " ".join(pods[0]) == "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"
        assert pods[1][:4] == ["p", "1/1", "Running", "2"]
        assert pods[1][5:] == ["10.0.0.1", node_name(api), "<none>", "<none>"]
        deploys = (await kubectl.ok("get", "deploy")).words
        assert deploys[0] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
        assert deploys[1][:4] == ["web", "0/1", "0", "0"]
        quotas = (await kubectl.ok("get", "quota")).out
        assert "pods: 1/3" in quotas
        assert "limits.cpu: 0/1" in quotas
        several = await kubectl.ok("get", "deploy,hpa,networkpolicy,resourcequota")
        assert "deployment.apps/web" in several.out
        everything = await kubectl.ok("get", "all", "--all-namespaces")
        assert "pod/p" in everything.out

    run_kubectl(play, tmp_path, scenario)


def test_get_prints_yaml_selects_by_label_and_reports_what_is_missing(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.create("~apps/v1/deployments", deployment())
        printed = yaml.safe_load((await kubectl.ok("get", "deployment", "web", "-o", "yaml")).out)
        assert printed["spec"]["replicas"] == 1
        assert "managedFields" not in printed["metadata"]
        none = await kubectl.ok("get", "deploy", "-l", "app=other")
        assert none.err.startswith("No resources found")
        missing = await kubectl("get", "deploy", "ghost")
        assert (missing.code, missing.err) == (
            1,
            'Error from server (NotFound): deployments.apps "ghost" not found\n',
        )
        jsonpath = await kubectl.ok("get", "deploy", "web", "-o", "jsonpath={.spec.strategy.type}")
        assert jsonpath.out == "RollingUpdate"

    run_kubectl(play, tmp_path, scenario)


def test_custom_resources_are_found_by_short_name_and_printed_by_their_columns(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await kubectl.ok("apply", "-f", kubectl.file("crd.yaml", widget_crd()))
        await kubectl.ok("wait", "--for=condition=Established", "crd/widgets.demo.example.com", "--timeout=150s")
        # Discovery and schemas follow.
        for path in (f"/apis/{WIDGET_GROUP}/v1", f"/openapi/v3/apis/{WIDGET_GROUP}/v1"):
            await api.until_answered(lambda path=path: api.get(path), lambda answer: answer.status == 200)  # type: ignore[misc]
        await kubectl.ok("apply", "-f", kubectl.file("w.yaml", widget()))
        table = (await kubectl.ok("get", "wd")).words
        assert table[0] == ["NAME", "SIZE", "READY", "AGE"]
        assert table[1][:2] == ["w", "3"]
        described = await kubectl.ok("describe", WIDGET, "w")
        assert "Colour:  red" in described.out
        explained = await kubectl.ok("explain", "wd.spec.size")
        assert "FIELD: size <integer>" in explained.out
        assert "w" in (await kubectl.ok("get", "all")).out

    run_kubectl(play, tmp_path, scenario)


def test_diff_shows_the_change_and_writes_nothing(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await kubectl.ok("apply", "-f", kubectl.file("web.yaml", deployment(replicas=2)))
        answer = await kubectl("diff", "-f", kubectl.file("web.yaml", deployment(replicas=3)))
        assert answer.code == 1
        assert "+  replicas: 3" in answer.out
        assert (await api.get("~apps/v1/deployments/web")).body["spec"]["replicas"] == 2

    run_kubectl(play, tmp_path, scenario)


def test_wait_returns_when_the_condition_comes_true(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.serve(widget_crd())
        await api.create(WIDGETS, widget())
        late = await kubectl("wait", "--for=condition=Ready", f"{WIDGET}/w", "--timeout=0s")
        assert late.code == 1
        process = await kubectl.start("wait", "--for=condition=Ready", f"{WIDGET}/w", "--timeout=150s")
        await api.patch(f"{WIDGETS}/w/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        out, _ = await process.communicate()
        assert out.decode() == "widget.demo.example.com/w condition met\n"

    run_kubectl(play, tmp_path, scenario)


def test_get_watch_prints_a_row_for_every_change(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.serve(widget_crd())
        await api.create(WIDGETS, widget())
        process = await kubectl.start("get", "wd", "--watch")
        assert process.stdout is not None
        assert (await process.stdout.readline()).split() == b"NAME SIZE READY AGE".split()
        assert (await process.stdout.readline()).split()[:2] == [b"w", b"3"]
        await api.patch(f"{WIDGETS}/w", {"spec": {"size": 8}})
        assert (await process.stdout.readline()).split()[:2] == [b"w", b"8"]
        process.terminate()
        await process.communicate()

    run_kubectl(play, tmp_path, scenario)


def test_describe_shows_spec_status_and_events(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        created = await api.create("~/pods", pod(nodeName=node_name(api)))
        regarding = {"kind": "Pod", "name": "p", "namespace": api.namespace, "uid": created["metadata"]["uid"]}
        event = {
            "metadata": {"name": "e", "namespace": api.namespace},
            "eventTime": "2026-01-05T09:00:00.000000Z",
            "regarding": regarding,
            "note": "pulled the image",
            "reason": "Pulled",
            "type": "Normal",
            "action": "Pulling",
            "reportingController": "tests",
            "reportingInstance": "tests-1",
        }
        await api.create("~events.k8s.io/v1/events", event)
        described = (await kubectl.ok("describe", "pod", "p")).out
        assert "busybox:1.36" in described
        assert "pulled the image" in described
        assert "Pulled" in (await kubectl.ok("get", "events")).out
        assert "Pulled" in (await kubectl.ok("events")).out
        for kind, path, body in (
            ("deploy", "~apps/v1/deployments", deployment("d")),
            ("svc", "~/services", {"metadata": {"name": "d"}, "spec": {"ports": [{"port": 80}]}}),
            ("quota", "~/resourcequotas", {"metadata": {"name": "d"}, "spec": {"hard": {"pods": "9"}}}),
            (
                "netpol",
                "~networking.k8s.io/v1/networkpolicies",
                {"metadata": {"name": "d"}, "spec": {"podSelector": {}}},
            ),
            (
                "hpa",
                "~autoscaling/v2/horizontalpodautoscalers",
                {
                    "metadata": {"name": "d"},
                    "spec": {
                        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
                        "maxReplicas": 3,
                    },
                },
            ),
        ):
            await api.create(path, body)
            assert "Name:" in (await kubectl.ok("describe", kind, "d")).out

    run_kubectl(play, tmp_path, scenario)


def test_logs_of_a_deployment_come_through_the_kubelet(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        async with kubelet(api):
            await api.create("~apps/v1/deployments", deployment())
            body = pod(nodeName=node_name(api))
            body["metadata"]["labels"] = {"app": "web"}
            await api.create("~/pods", body)
            by_name = await kubectl.ok("logs", "deploy/web", "--tail=100")
            assert json.loads(by_name.out) == {
                "path": f"/containerLogs/{api.namespace}/p/main",
                "query": {"tailLines": "100"},
            }
            by_label = await kubectl.ok("logs", "-l", "app=web", "--tail=3")
            assert json.loads(by_label.out)["query"] == {"tailLines": "3"}

    run_kubectl(play, tmp_path, scenario)


def test_the_caller_learns_who_it_is_and_may_do_everything(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        assert api.access.user in (await kubectl.ok("auth", "whoami")).out
        assert (await kubectl.ok("auth", "can-i", "create", "pods")).out == "yes\n"
        token = (await kubectl.ok("create", "token", "default")).out.strip()
        as_account = await api.create("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})
        assert as_account["status"]["user"]["username"] == f"system:serviceaccount:{api.namespace}:default"

    run_kubectl(play, tmp_path, scenario)


@pytest.mark.embedded_only("a real server serves all of this")
def test_what_is_left_out_is_refused_with_a_sentence(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.create("~/pods", pod(nodeName=node_name(api)))
        await api.patch("~/pods/p/status", {"status": {"phase": "Running"}})
        for command in (("exec", "p", "--", "true"), ("port-forward", "pod/p", "8080:80")):
            refused = await kubectl(*command)
            assert refused.code == 1
            assert "the embedded sandbox API server does not serve pods/" in refused.err
        jobs = await kubectl("get", "jobs")
        assert "the server doesn't have a resource type" in jobs.err
        refused = await kubectl("create", "deployment", "made", "--image=nginx:1")
        assert "kubectl apply -f FILE" in refused.err

    run_kubectl(play, tmp_path, scenario)
