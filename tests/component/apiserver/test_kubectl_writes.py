"""Plain kubectl that changes something: apply, edit, patch, scale, delete and the rest, on both API servers."""

from pathlib import Path

import pytest

from support.apiserver import Api, Play
from support.kubectl_play import Kubectl, run_kubectl
from support.kubelet import node_name
from support.manifests import WIDGET_GROUP, WIDGETS, config_map, deployment, pod, widget, widget_crd

WIDGET = f"widgets.{WIDGET_GROUP}"


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
        await api.create("~/pods", pod(nodeName=node_name(api)))
        await kubectl.ok("delete", "pod", "p", "--grace-period=0", "--force")
        assert (await api.get("~/pods/p")).status == 404

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
