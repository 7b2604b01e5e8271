"""gw restart agent and gw restart manager: what they refuse, what they say first, and what they prove in the end."""

import json
from typing import Any

import pytest

from actions_gateway.api import labels, names
from actions_gateway.api.conditions import Reason
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r

from .objects import gateway, moment, ready, runner_group, worker_pod
from .restarting import World
from .rig import check_golden

Manifest = dict[str, Any]
AGENT, MANAGER = ("restart", "agent", "team-a"), ("restart", "manager")


WORKER = "runner-team-a-cpu-0001"


# -- the agent


def test_a_restarted_agent_is_new_listens_and_has_adopted_the_running_jobs() -> None:
    world = World()
    world.log_adoption(WORKER)
    answer = world(*AGENT, "--yes")
    assert answer.code == 0, answer
    check_golden("restart-agent.table.txt", f"{answer.err}{answer.out}")
    live = world.cluster.objects["deployments", "team-a", names.AGENT]
    assert live["spec"]["template"]["metadata"]["annotations"] == {labels.RESTARTED_AT: "2026-01-05T09:00:00Z"}


def test_a_second_restart_within_the_same_second_is_one() -> None:
    world = World()
    world.log_adoption(WORKER)
    template = world.cluster.objects["deployments", "team-a", names.AGENT]["spec"]["template"]
    template.setdefault("metadata", {})["annotations"] = {labels.RESTARTED_AT: "2026-01-05T09:00:00Z"}
    answer = world(*AGENT, "--yes")
    assert answer.code == 0, answer
    live = world.cluster.objects["deployments", "team-a", names.AGENT]
    assert live["spec"]["template"]["metadata"]["annotations"] == {labels.RESTARTED_AT: "2026-01-05T09:00:00.000000Z"}


def test_the_document_tells_pods_sessions_and_jobs() -> None:
    world = World()
    world.log_adoption(WORKER)
    found = json.loads(world(*AGENT, "--yes", "-o", "json").out)
    assert (found["kind"], found["changed"], found["unproven"]) == ("RestartedAgent", True, [])
    assert [pod["uid"] for pod in found["replaced"]] == ["uid-old-agent"]
    assert [pod["uid"] for pod in found["pods"]] == ["uid-new-agent"]
    assert found["sessions"] == {"team-a-cpu": 1, "team-a-gpu": 1}
    jobs = {"before": 1, "running": 1, "adopted": [WORKER], "missing": [], "ended": 0, "failed_renewals": 0}
    assert found["jobs"] == jobs


def test_a_running_job_that_is_not_adopted_is_a_problem_by_name() -> None:
    world = World(worker_pod(name="runner-team-a-cpu-0002"))
    world.log_adoption(WORKER)
    answer = world(*AGENT, "--yes", "--timeout", "20s")
    assert answer.code == 1, answer
    assert "1 of 2 running jobs adopted" in answer.out
    assert "Not adopted: runner-team-a-cpu-0002" in answer.out


def test_a_job_that_ends_meanwhile_is_no_loss_and_failed_renewals_are_told() -> None:
    world = World(worker_pod(name="runner-team-a-cpu-0002"))
    world.log_adoption(WORKER, failed=2)

    def end() -> None:
        world.cluster.objects["pods", "team-a", "runner-team-a-cpu-0002"]["status"]["phase"] = "Succeeded"

    world.after = end
    answer = world(*AGENT, "--yes")
    assert answer.code == 0, answer
    assert "1 of 1 running jobs adopted, 1 ended meanwhile" in answer.out
    assert "2 renewals failed since" in answer.out


def test_a_log_that_may_not_be_read_leaves_the_adoption_unproven() -> None:
    world = World()
    world.cluster.refusals["get", "pods/log"] = errors.Forbidden("pods/log is forbidden", status=403)
    answer = world(*AGENT, "--yes")
    assert answer.code == 3, answer
    assert "Unproven: that its jobs are adopted: the agent's log cannot be read (pods/log is forbidden)" in answer.err
    assert "1 job still running" in answer.out
    assert "adopted" not in answer.out


def test_a_log_that_does_not_tell_of_earlier_jobs_leaves_the_adoption_unproven() -> None:
    world = World()
    world.log({"level": "info", "event": "runner group found", "runner_group": "team-a-cpu"})
    answer = world(*AGENT, "--yes")
    assert answer.code == 3, answer
    assert "Unproven: that its jobs are adopted: the agent's log does not tell of them" in answer.err
    assert world.gw.clock.slept_seconds < 60


def test_a_group_without_a_session_times_out_with_the_checks_words() -> None:
    world = World()
    world.log_adoption(WORKER)
    silent = ready("False", Reason.NO_ACTIVE_SESSIONS, "no session is open", seconds_ago=600)
    world.cluster.put(runner_group(name="gpu", sessions=0, conditions=[silent]))
    answer = world(*AGENT, "--yes", "--timeout", "30s")
    assert answer.code == 5, answer
    assert "session.open: no session is open" in answer.err


def test_a_pod_that_does_not_start_times_out_with_what_keeps_it() -> None:
    world = World()

    def stuck() -> None:
        pod = world.cluster.objects["pods", "team-a", f"{names.AGENT}-new"]
        pod["status"]["conditions"] = []
        waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
        pod["status"]["containerStatuses"] = [{"name": names.AGENT_CONTAINER, "state": {"waiting": waiting}}]

    world.after = stuck
    answer = world(*AGENT, "--yes", "--timeout", "10s")
    assert answer.code == 5, answer
    assert "ImagePullBackOff: Back-off pulling image" in answer.err
    assert "kubectl describe pod -n team-a" in answer.err


def test_a_paused_tenant_keeps_an_agent_which_can_be_restarted() -> None:
    world = World()
    world.log_adoption(WORKER)
    world.cluster.objects["actionsgateways", "team-a", "team-a"]["spec"]["paused"] = True
    answer = world(*AGENT, "--yes")
    assert answer.code == 0, answer
    assert "The gateway is paused, so no session opens afterwards either" in answer.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"annotations": {labels.CONTAINED: "yes"}}, "is contained, so its agent is scaled to 0 pods"),
        ({"deletionTimestamp": moment(5)}, "is deleting, so its agent is scaled to 0 pods"),
    ],
    ids=["contained", "deleting"],
)
def test_a_gateway_without_an_agent_by_intention_is_refused_with_why(change: Manifest, said: str) -> None:
    world = World()
    stopped = gateway()
    stopped["metadata"] |= change
    world.cluster.put(stopped)
    answer = world(*AGENT, "--yes")
    assert answer.code == 2
    assert said in answer.err
    assert world.cluster.patched == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [({"replicas": 0}, "is scaled to 0 pods, so a restart would start none"), ({"paused": True}, "is paused")],
    ids=["scaled to zero", "a paused rollout"],
)
@pytest.mark.parametrize("words", [AGENT, MANAGER], ids=["agent", "manager"])
def test_a_deployment_that_would_start_nothing_is_refused(words: tuple[str, ...], spec: Manifest, said: str) -> None:
    world = World()
    for key, manifest in world.cluster.objects.items():
        if key[0] == r.DEPLOYMENTS.plural:
            manifest["spec"] |= spec
    answer = world(*words, "--yes")
    assert answer.code == 2
    assert said in answer.err
    assert world.cluster.patched == []


def test_what_is_not_there_is_refused() -> None:
    world = World()
    unknown = world("restart", "agent", "team-z", "--yes")
    assert (unknown.code, "there is no namespace team-z" in unknown.err) == (2, True)
    assert "no tenant was named" in world("restart", "agent").err
    for key in [key for key in world.cluster.objects if key[0] == r.DEPLOYMENTS.plural]:
        del world.cluster.objects[key]
    assert "team-a has no agent to restart" in world(*AGENT, "--yes").err
    answer = world(*MANAGER, "--yes")
    assert answer.code == 2
    assert "the manager is not installed" in answer.err


@pytest.mark.parametrize("words", [AGENT, MANAGER], ids=["agent", "manager"])
def test_nothing_is_restarted_without_a_yes_a_right_or_in_a_dry_run(words: tuple[str, ...]) -> None:
    world = World()
    assert world(*words).code == 2
    assert world(*words, answer="n\n").code == 2
    rehearsed = world(*words, "--dry-run")
    assert (rehearsed.code, "Dry run: 1 object would be written" in rehearsed.out) == (0, True)
    assert world(*words, "--timeout", "soon", "--yes").code == 2
    world.cluster.denied.add(("patch", "deployments"))
    refused = world(*words, "--yes")
    assert refused.code == 2
    assert "you may not patch deployments.apps" in refused.err
    assert world.cluster.patched == []


@pytest.mark.parametrize("words", [AGENT, MANAGER], ids=["agent", "manager"])
def test_another_restart_in_between_is_told(words: tuple[str, ...]) -> None:
    world = World()

    def interfere() -> None:
        for key, manifest in world.cluster.objects.items():
            if key[0] == r.DEPLOYMENTS.plural:
                manifest["spec"]["template"]["metadata"]["annotations"] = {labels.RESTARTED_AT: moment(-60)}

    world.gw.clock.on_sleep = interfere
    answer = world(*words, "--yes")
    assert answer.code == 2
    assert "somebody else has restarted" in answer.err


def test_a_connection_lost_while_following_says_that_the_restart_is_ordered() -> None:
    world = World()

    def cut() -> None:
        world.cluster.refusals["get", "deployments"] = errors.Unreachable("the API server gives no answer")

    world.gw.clock.on_sleep = cut
    answer = world(*AGENT, "--yes")
    assert answer.code == 3
    assert f"changed   Deployment {names.AGENT}" in answer.err


# -- the manager


def test_a_restarted_manager_is_new_leads_and_has_looked_at_every_gateway() -> None:
    world = World()
    answer = world(*MANAGER, "--yes")
    assert answer.code == 0, answer
    check_golden("restart-manager.table.txt", f"{answer.err}{answer.out}")
    found = json.loads(World()(*MANAGER, "--yes", "-o", "json").out)
    assert (found["kind"], found["leader"], found["gateways"]) == ("RestartedManager", "gmc-new-1", 1)
    assert [pod["name"] for pod in found["replaced"]] == ["gmc-old-0", "gmc-old-1"]


def test_a_manager_that_nobody_leads_times_out() -> None:
    world = World()

    def keep() -> None:
        lease = world.cluster.objects["leases", names.MANAGER_NAMESPACE, names.MANAGER_LEASE]
        lease["spec"]["holderIdentity"] = "gmc-old-0_0badcafe"

    world.after = keep
    answer = world(*MANAGER, "--yes", "--timeout", "10s")
    assert answer.code == 5
    assert "gmc-old-0_0badcafe still holds it" in answer.err


def test_a_gateway_that_the_new_manager_does_not_take_up_times_out_by_name() -> None:
    world = World()
    world.cluster.objects["actionsgateways", "team-a", "team-a"]["metadata"]["generation"] = 2
    answer = world(*MANAGER, "--yes", "--timeout", "10s")
    assert answer.code == 5
    assert "has not taken up team-a/team-a in time (1 of 1 to go)" in answer.err


def test_a_manager_that_argo_cd_installed_is_restarted_all_the_same() -> None:
    world = World()
    live = world.cluster.objects["deployments", names.MANAGER_NAMESPACE, names.MANAGER]
    live["metadata"]["labels"] = {"argocd.argoproj.io/instance": "gateway"}
    assert world(*MANAGER, "--yes").code == 0
    assert world.cluster.patched == [f"Deployment {names.MANAGER}"]
