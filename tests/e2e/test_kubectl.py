"""Plain kubectl against the sandbox: the production runbook's commands, to the letter."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.held_jobs import answered
from support.running_sandbox import until

pytestmark = pytest.mark.e2e


def test_the_gateway_is_listed_with_its_readiness(sandbox: Any) -> None:
    def listed() -> tuple[list[str], list[str]]:
        answer = sandbox.kubectl("get", "actionsgateway", "-n", "team-a")
        assert answer.code == 0, answer
        header, row = answer.out.splitlines()
        return header.split(), row.split()

    assert listed()[0][:2] == ["NAME", "READY"]
    # Tests of other files change the gateway's parts, and its status follows them.
    until(lambda: "True" in listed()[1])


def test_the_tenants_workloads_and_limits_are_listed_in_one_command(sandbox: Any) -> None:
    answer = sandbox.kubectl("get", "deploy,hpa,networkpolicy,resourcequota", "-n", "team-a")
    assert answer.code == 0, answer
    assert "deployment.apps/actions-gateway-controller" in answer.out
    assert "networkpolicy.networking.k8s.io/actions-gateway-workload" in answer.out
    assert "horizontalpodautoscaler.autoscaling/actions-gateway-proxy" in answer.out


def test_runner_groups_show_their_conditions_as_yaml(sandbox: Any) -> None:
    answer = sandbox.kubectl("get", "runnergroup", "-n", "team-a", "-o", "yaml")
    assert answer.code == 0, answer
    assert "reason: ListenerActive" in answer.out


def test_the_agents_pod_and_log_are_found_by_the_runbooks_names(sandbox: Any) -> None:
    pods = sandbox.kubectl("get", "pod", "-n", "team-a", "-l", "app=actions-gateway-controller")
    assert "Running" in pods.out, pods
    log = sandbox.kubectl("logs", "-n", "team-a", "deploy/actions-gateway-controller", "--tail=100")
    assert log.code == 0, log
    assert '"event"' in log.out


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("actionsgateway", "All Available|AllAvailable"),
        ("runnergroup", "ListenerActive"),
        ("deploy/actions-gateway-controller", "Recreate"),
        # Workers of earlier tests go meanwhile, and kubectl describes one by one what it listed.
        ("pod -l app=actions-gateway-controller", "Service Account:"),
    ],
)
def test_describe_tells_the_story_of_each_object(sandbox: Any, kind: str, told: str) -> None:
    def is_told() -> bool:
        answer = sandbox.kubectl("describe", "-n", "team-a", *kind.split())
        assert answer.code == 0, answer
        return any(text in answer.out for text in told.split("|"))

    until(is_told)


def test_wait_returns_when_the_gateway_is_ready(sandbox: Any) -> None:
    answer = sandbox.kubectl(
        "wait", "--for=condition=Ready", "actionsgateway", "--all", "-n", "team-a", "--timeout=150s"
    )
    assert answer.code == 0, answer
    assert "condition met" in answer.out


def test_patch_and_edit_change_the_gateway_and_the_manager_carries_it_to_the_group(
    sandbox: Any, tmp_path: Path
) -> None:
    gateway = sandbox.kubectl("get", "actionsgateway", "-n", "team-a", "-o", "name").out.strip()
    name = gateway.partition("/")[2]
    patch = json.dumps([{"op": "replace", "path": "/spec/runnerGroups/1/maxListeners", "value": 3}])
    assert sandbox.kubectl("patch", gateway, "-n", "team-a", "--type=json", "-p", patch).code == 0
    group = f"runnergroup/{name}-cpu-runners"
    waited = sandbox.kubectl("wait", "--for=jsonpath={.spec.maxListeners}=3", group, "-n", "team-a", "--timeout=150s")
    assert waited.code == 0, waited
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/maxListeners: 3/maxListeners: 4/" "$1"\n')
    editor.chmod(0o755)
    edited = sandbox.kubectl("edit", gateway, "-n", "team-a", EDITOR=str(editor))
    assert edited.code == 0, edited
    waited = sandbox.kubectl("wait", "--for=jsonpath={.spec.maxListeners}=4", group, "-n", "team-a", "--timeout=150s")
    assert waited.code == 0, waited


def test_apply_accepts_an_export_and_refuses_an_unknown_field(sandbox: Any, tmp_path: Path) -> None:
    manifest = tmp_path / "configmap.yaml"
    manifest.write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied, namespace: team-a}\ndata: {a: '1'}\n"
    )
    assert "created" in sandbox.kubectl("apply", "-f", str(manifest)).out
    assert "unchanged" in sandbox.kubectl("apply", "-f", str(manifest)).out
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "apiVersion: actions-gateway.github.com/v1alpha1\nkind: ActionsGateway\n"
        "metadata: {name: other, namespace: team-a}\n"
        "spec: {gitHubAppRef: {name: x}, gitHubURL: 'https://github.com/octo', runnersGroup: []}\n"
    )
    refused = sandbox.kubectl("apply", "-f", str(wrong))
    assert refused.code != 0
    assert "runnersGroup" in refused.err


def test_the_runbooks_secret_command_makes_a_secret(sandbox: Any) -> None:
    made = sandbox.kubectl(
        "create", "secret", "generic", "github-app-next", "-n", "team-a", "--from-literal=appId=1", "--from-literal=x=y"
    )
    assert made.code == 0, made
    read = sandbox.kubectl("get", "secret", "github-app-next", "-n", "team-a", "-o", "jsonpath={.data.appId}")
    assert read.out == "MQ=="


def test_rollout_restart_replaces_the_agent_and_sessions_come_back(sandbox: Any) -> None:
    selector = ("-n", "team-a", "-l", "app=actions-gateway-controller", "-o", "jsonpath={.items[*].metadata.uid}")
    before = sandbox.kubectl("get", "pod", *selector).out
    asked = datetime.now(UTC)
    restarted = sandbox.kubectl("rollout", "restart", "deploy/actions-gateway-controller", "-n", "team-a")
    assert restarted.code == 0, restarted
    status = sandbox.kubectl("rollout", "status", "deploy/actions-gateway-controller", "-n", "team-a", "--timeout=150s")
    assert status.code == 0, status
    after = sandbox.kubectl("get", "pod", *selector).out
    assert after
    assert not set(after.split()) & set(before.split())
    waited = sandbox.kubectl("wait", "--for=condition=Ready", "runnergroup", "--all", "-n", "team-a", "--timeout=150s")
    assert waited.code == 0, waited
    # A condition alone may tell of the agent that has ended.
    until(lambda: any(at >= asked for at, _ in answered(sandbox, "broker.create_session")))


def test_what_the_sandbox_leaves_out_is_refused_by_name(sandbox: Any) -> None:
    answer = sandbox.kubectl("exec", "-n", "team-a", "deploy/actions-gateway-controller", "--", "true")
    assert answer.code != 0
    assert "sandbox" in answer.err
