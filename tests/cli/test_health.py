"""gw health: reports, exit codes, waiting."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.kube import errors
from gw.ops.verification import verify

from .double import ClusterDouble
from .objects import (
    Manifest,
    agent_available,
    agent_pod,
    container,
    credential_missing,
    gateway,
    given_up,
    healthy_cluster,
    manager,
    moment,
    namespace,
    proxy_pod,
    ready,
    runner_group,
    worker_pod,
)
from .rig import Gw, check_golden


@pytest.fixture
def healthy() -> Gw:
    return Gw(ClusterDouble(*healthy_cluster()))


@pytest.fixture
def broken() -> Gw:
    """One tenant with everything wrong that the first checks know."""
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": moment(90)}}
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    return Gw(
        ClusterDouble(
            *manager(ready_pods=0, renewed_seconds_ago=300),
            namespace(),
            gateway(
                sessions=0,
                conditions=[
                    ready("False", Reason.AGC_NOT_READY, "the agent has no ready pod", seconds_ago=600),
                    agent_available("False", Reason.AGC_NOT_READY, "OOMKilled"),
                    credential_missing("True", Reason.KEY_REJECTED, "GitHub does not accept the key"),
                ],
            ),
            runner_group(sessions=0, conditions=[ready("False", Reason.NO_ACTIVE_SESSIONS, "none", seconds_ago=600)]),
            agent_pod(containers=[container("agc", restarts=4, last=killed)]),
            proxy_pod(),
            worker_pod(phase="Pending", seconds_old=1200, containers=[container(state=waiting)]),
            worker_pod(name="runner-team-a-cpu-0002", phase="Failed", containers=[container(state=killed)]),
        )
    )


@pytest.mark.parametrize("output", ["table", "json", "short"])
@pytest.mark.parametrize("name", ["healthy", "broken"])
def test_the_report_is_as_kept(name: str, output: str, request: pytest.FixtureRequest) -> None:
    gw: Gw = request.getfixturevalue(name)
    answer = gw("health", "-o", output)
    assert answer.code == (0 if name == "healthy" else 1), answer
    check_golden(f"health-{name}.{output}.txt", answer.out)


def test_every_check_is_in_every_report(healthy: Gw, broken: Gw, gw: Gw) -> None:
    reports: list[Any] = [json.loads(each("health", "-o", "json").out) for each in (healthy, broken, gw)]
    ids = [[check["id"] for check in report["checks"]] for report in reports]
    assert ids[0] == ids[1] == ids[2]


def test_a_ticket_does_not_page_unless_asked_for() -> None:
    gw = Gw(ClusterDouble(*healthy_cluster(), *manager(ready_pods=0)))
    assert gw("health").code == 0
    assert gw("health", "--fail-on", "ticket").code == 1


def test_proxies_that_went_after_their_manager_page_though_their_condition_stands(healthy: Gw) -> None:
    check = ("health", "team-a", "--check", "gateway.proxy")
    assert healthy(*check).code == 0
    for number in (1, 2):
        healthy.cluster.put(proxy_pod(number=number, is_ready=False))
    answer = healthy(*check)
    assert answer.code == 1, answer
    assert "no proxy has a ready pod, and ProxyAvailable is out of date" in answer.out
    assert "kubectl describe deploy -n team-a actions-gateway-proxy" in answer.out


def test_a_worker_that_was_given_up_and_is_gone_pages_until_one_starts(healthy: Gw) -> None:
    check = ("health", "team-a", "--check", "worker.image", "--check", "worker.starting")
    note = "pod runner-x is deleted: container runner: ErrImagePull: manifest unknown"
    healthy.cluster.objects["events", "team-a", "one"] = given_up(seconds_ago=61, note=note)
    assert healthy(*check).code == 0, "a worker has started since"
    healthy.cluster.objects["events", "team-a", "two"] = given_up(seconds_ago=30, note=note)
    answer = healthy(*check)
    assert answer.code == 1, answer
    assert "team-a/team-a-cpu: its last worker was given up 30s ago without having started" in answer.out
    assert "manifest unknown" in answer.out
    assert answer.out.count("problem   ") == 1


def test_one_check_alone(broken: Gw) -> None:
    answer = broken("health", "--check", "session.open", "-o", "json")
    assert answer.code == 1
    assert [check["id"] for check in json.loads(answer.out)["checks"]] == ["session.open"]


def test_a_problem_names_what_since_when_and_the_next_command(broken: Gw) -> None:
    report = json.loads(broken("health", "team-a", "--check", "session.open", "-o", "json").out)
    (finding,) = report["checks"][0]["findings"]
    assert finding["subject"] == "team-a/team-a-cpu"
    assert finding["since"] == moment(600)
    assert finding["next"].startswith("kubectl logs -n team-a deploy/actions-gateway-controller")
    assert report["checks"][0]["page"] == "runbooks/checks/session.open.md"


def test_blind_is_never_healthy(healthy: Gw) -> None:
    refusal = errors.Unreachable("the Kubernetes API server at https://cluster.example:6443 gives no answer: refused")
    healthy.cluster.refusals["*", "*"] = refusal
    healthy.cluster.refusals["request", "/apis/actions-gateway.github.com/v1alpha1"] = refusal
    answer = healthy("health")
    assert answer.code == 3
    check_golden("health-blind.table.txt", answer.out)
    assert {check["outcome"] for check in json.loads(healthy("health", "-o", "json").out)["checks"]} == {"unknown"}


def test_a_right_that_a_tenants_people_lack_on_the_platform_is_skipped_by_name(healthy: Gw) -> None:
    message = 'deployments.apps "gmc-controller-manager" is forbidden: User "eve" cannot get resource "deployments"'
    healthy.cluster.refusals["get", "deployments"] = errors.Forbidden(message, status=403)
    own = healthy("health", "team-a", "-o", "json")
    assert own.code == 0, own
    outcomes = {check["id"]: check for check in json.loads(own.out)["checks"]}
    assert outcomes["manager.running"]["outcome"] == "skipped"
    assert 'User "eve" cannot get resource' in outcomes["manager.running"]["findings"][0]["summary"]
    assert healthy("health").code == 3


def test_what_a_command_verifies_and_may_not_see_is_not_called_verified(healthy: Gw) -> None:
    message = 'User "eve" cannot get resource "deployments"'
    healthy.cluster.refusals["get", "deployments"] = errors.Forbidden(message, status=403)
    told: list[str] = []
    listener = SimpleNamespace(reached=told.append, waiting=told.append)
    verified = asyncio.run(
        verify(
            healthy.cluster,
            ["gateway.ready", "manager.running"],
            namespace="team-a",
            timeout_seconds=1,
            clock=healthy.clock,
            listener=listener,
        )
    )
    assert told == ["gateway.ready verified"]
    (unproven,) = verified.unproven
    assert unproven.startswith("manager.running: ")
    assert message in unproven


def test_a_right_that_they_lack_on_their_own_tenant_leaves_gw_blind(healthy: Gw) -> None:
    healthy.cluster.refusals["list", "pods"] = errors.Forbidden('User "eve" cannot list resource "pods"', status=403)
    answer = healthy("health", "team-a")
    assert answer.code == 3
    assert 'User "eve" cannot list resource "pods"' in answer.out


def test_without_the_types_the_missing_types_are_the_problem(gw: Gw) -> None:
    gw.cluster.served = ("actionsgateways",)
    answer = gw("health", "--check", "api.crds-served")
    assert answer.code == 1
    assert "does not serve runnergroups" in answer.out


def test_waiting_ends_as_soon_as_all_is_well(healthy: Gw) -> None:
    healthy.cluster.put(gateway(conditions=[ready("False", Reason.AGC_NOT_READY, "not yet")]))

    def heal() -> None:
        if healthy.clock.slept_seconds >= 3:
            healthy.cluster.put(gateway())

    healthy.clock.on_sleep = heal
    answer = healthy("health", "team-a", "--wait", "1m")
    assert answer.code == 0, answer
    assert healthy.clock.slept_seconds == 3
    assert "waiting: " in answer.err


def test_the_end_of_a_containment_is_waited_for_until_the_gateway_is_ready_again(healthy: Gw) -> None:
    """As the page of the check has it: neither the annotation nor a gateway on its way up passes for the end."""
    page = Path(__file__).parents[2] / "runbooks" / "checks" / "gateway.contained.md"
    words = page.read_text(encoding="utf-8").rpartition("`gw ")[2].partition("`")[0].replace("TENANT", "team-a").split()
    contained = gateway(conditions=[ready("False", Reason.CONTAINED, "contained")])
    contained["metadata"]["annotations"] = {labels.CONTAINED: "incident-1"}
    healthy.cluster.put(contained)
    assert healthy(*words).code == 5
    coming_up = gateway(conditions=[ready("False", Reason.AGC_NOT_READY, "not yet")])
    started = healthy.clock.slept_seconds

    def release() -> None:
        waited_seconds = healthy.clock.slept_seconds - started
        healthy.cluster.put(contained if waited_seconds < 3 else coming_up if waited_seconds < 6 else gateway())

    healthy.clock.on_sleep = release
    answer = healthy(*words)
    assert answer.code == 0, answer
    assert healthy.clock.slept_seconds - started == 6


def test_an_api_server_that_comes_back_is_waited_for(healthy: Gw) -> None:
    path = "/apis/actions-gateway.github.com/v1alpha1"
    healthy.cluster.refusals["request", path] = errors.Unreachable("the Kubernetes API server gives no answer")
    healthy.clock.on_sleep = lambda: healthy.cluster.refusals.clear()
    answer = healthy("health", "--check", "api.reachable", "--wait", "1m")
    assert (answer.code, healthy.clock.slept_seconds) == (0, 1), answer


def test_waiting_in_vain_exits_with_5(healthy: Gw) -> None:
    healthy.cluster.put(gateway(conditions=[ready("False", Reason.AGC_NOT_READY, "not yet")]))
    answer = healthy("health", "team-a", "--wait", "10s", "-o", "json")
    assert answer.code == 5
    assert json.loads(answer.out)["exit_code"] == 5
    assert 10 <= healthy.clock.slept_seconds < 12


def test_a_wait_tells_what_it_waits_for_once(healthy: Gw) -> None:
    healthy.cluster.put(gateway(conditions=[ready("False", Reason.AGC_NOT_READY, "not yet"), agent_available()]))
    answer = healthy("health", "team-a", "--check", "gateway.ready", "--wait", "10s")
    assert answer.code == 5
    assert answer.err == "waiting: gateway.ready problem\n"


def test_an_agent_that_died_after_its_manager_is_a_page_although_every_status_looks_well() -> None:
    gw = Gw(ClusterDouble(*[item for item in healthy_cluster() if item["kind"] != "Pod"], *manager(ready_pods=0)))
    answer = gw("health", "-o", "json")
    assert answer.code == 1, answer
    outcomes = {check["id"]: check["outcome"] for check in json.loads(answer.out)["checks"]}
    assert (outcomes["agent.available"], outcomes["session.open"]) == ("problem", "problem")


def test_what_is_left_out_by_intention_is_named(healthy: Gw) -> None:
    healthy.cluster.put(runner_group(name="gpu", sessions=0, suspended=True))
    answer = healthy("health", "--check", "session.open")
    assert answer.code == 0, answer
    assert "ok        session.open   Every runner group has an open session (1 of 2)" in answer.out
    assert "  team-a/team-a-gpu: suspended by intention" in answer.out
    healthy.cluster.put(runner_group(name="cpu", sessions=0, suspended=True))
    all_suspended = healthy("health", "--check", "session.open")
    assert "skipped   session.open   not judged for 2 of 2" in all_suspended.out
    assert "Every runner group has" not in all_suspended.out


def test_a_new_gateway_is_neither_well_nor_ill(healthy: Gw) -> None:
    healthy.cluster.put(gateway(conditions=[], seconds_old=5))
    answer = healthy("health", "team-a", "-o", "json")
    assert answer.code == 3
    outcomes = {check["id"]: check["outcome"] for check in json.loads(answer.out)["checks"]}
    assert outcomes["gateway.ready"] == "unknown"


def test_a_fleet_with_one_problem_is_told_in_full_for_ten_and_named_for_the_rest(gw: Gw) -> None:
    for each in manager():
        gw.cluster.put(each)
    for number in range(30):
        gw.cluster.put(gateway(f"team-{number:02d}", conditions=[ready("False", Reason.AGC_NOT_READY, "it is gone")]))
    answer = gw("health", "-A", "--check", "gateway.ready")
    assert answer.code == 1
    assert answer.out.count("not Ready: AGCNotReady") == 10
    assert "  and 20 more (page): team-10/team-10, team-11/team-11" in answer.out
    assert "team-29/team-29" in answer.out
    document = json.loads(gw("health", "-A", "--check", "gateway.ready", "-o", "json").out)
    assert len(document["checks"][0]["findings"]) == 30


# -- watching


def until_looked(gw: Gw, times: int, *changes: Callable[[], None]) -> None:
    """Interrupts gw after so many looks; before each further one, the next change happens."""
    script = iter(changes)

    def on_sleep() -> None:
        if gw.clock.slept_seconds >= 5 * times:
            raise KeyboardInterrupt
        next(script, lambda: None)()

    gw.clock.on_sleep = on_sleep


def test_watching_prints_the_report_and_then_what_turns(healthy: Gw) -> None:
    stopped = manager(ready_pods=0)

    def put(*objects: Manifest) -> None:
        for each in objects:
            healthy.cluster.put(each)

    until_looked(healthy, 4, lambda: None, lambda: put(*stopped), lambda: put(*manager()))
    answer = healthy("health", "--watch", "--check", "manager.running")
    assert answer.code == 130
    first, *later = answer.out.strip().splitlines()
    assert first.startswith("ok        manager.running")
    turned = [line for line in later if line[:1].isdigit() and "manager.running" in line and ":" in line[:8]]
    assert len(turned) == 2, answer
    assert "problem   manager.running   ticket: " in turned[0]
    assert "ok        manager.running   " in turned[1]


def test_watching_as_json_prints_a_whole_report_each_time_something_turns(healthy: Gw) -> None:
    def stop() -> None:
        for each in manager(ready_pods=0):
            healthy.cluster.put(each)

    until_looked(healthy, 3, stop)
    answer = healthy("health", "--watch", "--check", "manager.running", "-o", "json")
    decoder, text, reports = json.JSONDecoder(), answer.out.strip(), []
    while text:
        report, end = decoder.raw_decode(text)
        reports.append(report)
        text = text[end:].strip()
    assert [report["checks"][0]["outcome"] for report in reports] == ["ok", "problem"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--watch", "--wait", "5s"), "Leave out one of them"),
        (("--watch", "--every", "10ms"), "--every"),
        (("--category", "weather"), "there is no category 'weather'"),
        (("--category", "installation"), "there is no category 'installation'"),
    ],
)
def test_a_selection_or_a_watch_that_makes_no_sense_is_refused(
    healthy: Gw, options: tuple[str, ...], words: str
) -> None:
    answer = healthy("health", *options)
    assert answer.code == 2, answer
    assert words in answer.err


def test_a_category_alone(healthy: Gw) -> None:
    report = json.loads(healthy("health", "--category", "credentials", "-o", "json").out)
    assert {check["category"] for check in report["checks"]} == {"credentials"}
