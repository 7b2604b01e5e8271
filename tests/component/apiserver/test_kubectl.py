"""Plain kubectl against both API servers: the commands of the runbook, without a special word."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from gateway_sandbox.certificates import SandboxCertificates
from support.apiserver import Api, Play
from support.components import require_kubectl
from support.manifests import WIDGET_GROUP, WIDGETS, config_map, deployment, pod, widget, widget_crd


@pytest.fixture(autouse=True)
def _kubectl_is_there() -> None:
    require_kubectl()


@dataclass(frozen=True, slots=True)
class Output:
    """What one command left."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> list[list[str]]:
        return [line.split() for line in self.out.splitlines()]


class Kubectl:
    """Runs kubectl with a home and a kubeconfig of its own."""

    def __init__(self, folder: Path, config: Path, namespace: str) -> None:
        self.folder = folder
        self._namespace = namespace
        self._environment = {"HOME": str(folder), "KUBECONFIG": str(config), "PATH": os.environ["PATH"]}

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            require_kubectl(),
            "--namespace",
            self._namespace,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment | environment,
        )

    async def __call__(self, *arguments: str, **environment: str) -> Output:
        process = await self.start(*arguments, **environment)
        out, err = await process.communicate()
        return Output(process.returncode or 0, out.decode(), err.decode())

    async def ok(self, *arguments: str, **environment: str) -> Output:
        output = await self(*arguments, **environment)
        assert output.code == 0, output.err
        return output

    def file(self, name: str, *objects: Any) -> str:
        path = self.folder / name
        path.write_text(yaml.safe_dump_all(objects))
        return str(path)


WIDGET = f"widgets.{WIDGET_GROUP}"
Scenario = Callable[[Api, Kubectl], Awaitable[None]]


def run_kubectl(play: Play, folder: Path, scenario: Scenario) -> None:
    """Runs a scenario with a kubectl for the case's server."""

    async def with_kubectl(api: Api) -> None:
        await scenario(api, Kubectl(folder, api.kubeconfig(folder), api.namespace))

    play(with_kubectl, certificates=SandboxCertificates.create(folder / "certificates"))


def test_get_prints_the_columns_of_a_real_cluster(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.create("~/pods", pod(nodeName="n1"))
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
        assert pods[1][5:] == ["10.0.0.1", "n1", "<none>", "<none>"]
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
        await kubectl.ok("wait", "--for=condition=Established", "crd/widgets.demo.example.com", "--timeout=10s")
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


def test_client_side_apply_creates_configures_and_removes_what_the_file_gave_up(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        body = deployment()
        body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]
        path = kubectl.file("web.yaml", body)
        assert (await kubectl.ok("apply", "-f", path)).out == "deployment.apps/web created\n"
        assert (await kubectl.ok("apply", "-f", path)).out == "deployment.apps/web unchanged\n"
        changed = deployment(replicas=3)
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:1.26"
        again = await kubectl.ok("apply", "-f", kubectl.file("web.yaml", changed))
        assert again.out == "deployment.apps/web configured\n"
        found = (await api.get("~apps/v1/deployments/web")).body
        container = found["spec"]["template"]["spec"]["containers"][0]
        assert (found["spec"]["replicas"], container["image"]) == (3, "nginx:1.26")
        assert "env" not in container

    run_kubectl(play, tmp_path, scenario)


def test_apply_refuses_an_unknown_field_by_default(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        refused = await kubectl("apply", "-f", kubectl.file("web.yaml", deployment(replicaz=3)))
        assert refused.code == 1
        assert 'strict decoding error: unknown field "spec.replicaz"' in refused.err
        assert (await api.get("~apps/v1/deployments/web")).status == 404

    run_kubectl(play, tmp_path, scenario)


def test_server_side_apply_and_its_conflict(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        path = kubectl.file("web.yaml", deployment(replicas=2))
        assert "serverside-applied" in (await kubectl.ok("apply", "--server-side", "-f", path)).out
        other = kubectl.file("other.yaml", deployment(replicas=4))
        arguments = ("apply", "--server-side", "--field-manager=other", "-f", other)
        refused = await kubectl(*arguments)
        assert refused.code == 1
        assert 'conflict with "kubectl": .spec.replicas' in refused.err
        await kubectl.ok(*arguments, "--force-conflicts")
        assert (await api.get("~apps/v1/deployments/web")).body["spec"]["replicas"] == 4

    run_kubectl(play, tmp_path, scenario)


def test_a_file_can_move_from_client_side_to_server_side_apply(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await kubectl.ok("apply", "-f", kubectl.file("web.yaml", deployment(replicas=2)))
        await kubectl.ok("apply", "--server-side", "-f", kubectl.file("web.yaml", deployment(replicas=3)))
        found = (await api.get("~apps/v1/deployments/web")).body
        assert found["spec"]["replicas"] == 3
        entries = found["metadata"]["managedFields"]
        managers = sorted(entry["manager"] for entry in entries if entry.get("subresource") != "status")
        assert managers == ["kubectl", "kubectl-last-applied"]

    run_kubectl(play, tmp_path, scenario)


def test_diff_shows_the_change_and_writes_nothing(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await kubectl.ok("apply", "-f", kubectl.file("web.yaml", deployment(replicas=2)))
        answer = await kubectl("diff", "-f", kubectl.file("web.yaml", deployment(replicas=3)))
        assert answer.code == 1
        assert "+  replicas: 3" in answer.out
        assert (await api.get("~apps/v1/deployments/web")).body["spec"]["replicas"] == 2

    run_kubectl(play, tmp_path, scenario)


@pytest.mark.parametrize("resource", ["deploy/web", f"{WIDGET}/w"])
def test_edit_saves_what_the_editor_changed(play: Play, tmp_path: Path, resource: str) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.serve(widget_crd())
        await api.create(WIDGETS, widget())
        await api.create("~apps/v1/deployments", deployment())
        editor = tmp_path / "editor"
        editor.write_text('#!/bin/sh\nsed -i -e "s/replicas: 1/replicas: 6/" -e "s/size: 3/size: 6/" "$1"\n')
        editor.chmod(0o755)
        assert "edited" in (await kubectl.ok("edit", resource, EDITOR=str(editor))).out
        path, field = ("~apps/v1/deployments/web", "replicas") if "deploy" in resource else (f"{WIDGETS}/w", "size")
        assert (await api.get(path)).body["spec"][field] == 6

    run_kubectl(play, tmp_path, scenario)


def test_patch_label_annotate_scale_and_set_image(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.create("~apps/v1/deployments", deployment())
        await kubectl.ok("patch", "deploy", "web", "-p", '{"spec":{"progressDeadlineSeconds":99}}')
        await kubectl.ok("patch", "deploy", "web", "--type=merge", "-p", '{"spec":{"minReadySeconds":5}}')
        operation = '[{"op":"replace","path":"/spec/revisionHistoryLimit","value":3}]'
        await kubectl.ok("patch", "deploy", "web", "--type=json", "-p", operation)
        await kubectl.ok("label", "deploy", "web", "tier=front")
        await kubectl.ok("annotate", "deploy", "web", "note=x")
        await kubectl.ok("scale", "deploy", "web", "--replicas=5")
        await kubectl.ok("set", "image", "deploy/web", "main=nginx:2")
        found = (await api.get("~apps/v1/deployments/web")).body
        spec = found["spec"]
        assert (spec["progressDeadlineSeconds"], spec["minReadySeconds"], spec["revisionHistoryLimit"]) == (99, 5, 3)
        assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["image"]) == (5, "nginx:2")
        assert found["metadata"]["labels"]["tier"] == "front"
        assert found["metadata"]["annotations"]["note"] == "x"

    run_kubectl(play, tmp_path, scenario)


def test_rollout_restart_stamps_the_template(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.create("~apps/v1/deployments", deployment(paused=False))
        await kubectl.ok("rollout", "restart", "deploy/web")
        found = (await api.get("~apps/v1/deployments/web")).body
        annotations = found["spec"]["template"]["metadata"]["annotations"]
        assert "kubectl.kubernetes.io/restartedAt" in annotations
        assert found["metadata"]["generation"] >= 2

    run_kubectl(play, tmp_path, scenario)


def test_delete_waits_until_the_object_is_gone(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        body = config_map()
        body["metadata"]["finalizers"] = ["x/hold"]
        await api.create("~/configmaps", body)
        process = await kubectl.start("delete", "configmap", "settings")
        await api.until("~/configmaps/settings", lambda obj: "deletionTimestamp" in obj["metadata"])
        assert process.returncode is None
        await api.patch("~/configmaps/settings", {"metadata": {"finalizers": None}})
        out, _ = await process.communicate()
        assert out.decode().startswith('configmap "settings" deleted')
        assert process.returncode == 0
        await api.create("~/pods", pod(nodeName="n1"))
        await kubectl.ok("delete", "pod", "p", "--grace-period=0", "--force")
        assert (await api.get("~/pods/p")).status == 404

    run_kubectl(play, tmp_path, scenario)


def test_wait_returns_when_the_condition_comes_true(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await api.serve(widget_crd())
        await api.create(WIDGETS, widget())
        late = await kubectl("wait", "--for=condition=Ready", f"{WIDGET}/w", "--timeout=0s")
        assert late.code == 1
        process = await kubectl.start("wait", "--for=condition=Ready", f"{WIDGET}/w", "--timeout=30s")
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
        created = await api.create("~/pods", pod(nodeName="n1"))
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
        async def logs(request: web.Request) -> web.Response:
            return web.Response(text=f"tail={request.query.get('tailLines')}\n")

        node = f"node-{api.namespace}"
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=api.certificates.server_context())
        await site.start()
        try:
            endpoints = {"kubeletEndpoint": {"Port": runner.addresses[0][1]}}
            addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
            status = {"addresses": addresses, "daemonEndpoints": endpoints}
            await api.create("/api/v1/nodes", {"metadata": {"name": node}, "status": status})
            await api.create("~apps/v1/deployments", deployment())
            body = pod(nodeName=node)
            body["metadata"]["labels"] = {"app": "web"}
            await api.create("~/pods", body)
            assert (await kubectl.ok("logs", "deploy/web", "--tail=100")).out == "tail=100\n"
            assert (await kubectl.ok("logs", "-l", "app=web", "--tail=3")).out == "tail=3\n"
        finally:
            await runner.cleanup()

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
        await api.create("~/pods", pod(nodeName="n1"))
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


def test_create_expose_run_drain_and_version_work(play: Play, tmp_path: Path) -> None:
    async def scenario(api: Api, kubectl: Kubectl) -> None:
        await kubectl.ok("create", "secret", "generic", "s", "--from-literal=k=v")
        await kubectl.ok("create", "configmap", "c", "--from-literal=k=v")
        await kubectl.ok("create", "serviceaccount", "robot")
        await kubectl.ok("create", "quota", "q", "--hard=pods=9")
        assert (await api.get("~/secrets/s")).body["data"] == {"k": "dg=="}
        await api.create("~apps/v1/deployments", deployment("made"))
        await kubectl.ok("expose", "deployment", "made", "--port=80")
        await kubectl.ok("run", "one", "--image=busybox:1")
        node = f"node-{api.namespace}"
        await api.create("/api/v1/nodes", {"metadata": {"name": node}})
        await kubectl.ok("cordon", node)
        assert "SchedulingDisabled" in (await kubectl.ok("get", "no", node)).out
        await api.create("~/pods", pod("ended", nodeName=node))
        await api.patch("~/pods/ended/status", {"status": {"phase": "Failed"}})
        await kubectl.ok("drain", node, "--force")
        assert (await api.get("~/pods/ended")).status == 404
        assert "Server Version: v1.36." in (await kubectl.ok("version")).out
        assert "configmaps" in (await kubectl.ok("api-resources")).out

    run_kubectl(play, tmp_path, scenario)
