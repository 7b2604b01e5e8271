"""`gw job`: what runs, waits and was lost, and reruns with plan, confirmation and an agent that carries them out."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actions_gateway.agent.recovery.ledger import requested, settled
from actions_gateway.api import labels, names
from actions_gateway.api.ledger import (
    MOST_OF_A_REQUEST,
    Cause,
    RerunState,
    RunEntry,
    parse,
    parse_request,
    render,
)
from actions_gateway.kube import errors

from .double import ClusterDouble
from .objects import (
    Manifest,
    agent_pod,
    entry,
    gateway,
    healthy_cluster,
    ledger,
    lost,
    moment,
    namespace,
    runner_group,
    worker_pod,
)
from .rig import Answer, Gw, check_golden, environment

GROUP = ("runnergroups", "team-a", "team-a-cpu")
LEDGER = ("configmaps", "team-a", names.RERUN_LEDGER)
RUNS = "https://github.com/octo/demo/actions/runs"


ENTRIES = {
    7: entry(lost("r-7", RerunState.EXHAUSTED), lost("r-8", RerunState.REQUESTED, job_id=12, name="lint")),
    9: entry(lost("r-9", RerunState.MANUAL, Cause.LOCK_LOST, seconds_ago=60, job_id=13, name="deploy"), retries=0),
}


@pytest.fixture
def jobs() -> Gw:
    """A tenant with a worker, waiting jobs, and lost ones; a group of another tenant says nothing of its wait."""
    waits = [
        {
            "reason": "ceiling",
            "jobs": 2,
            "since": moment(90),
            "message": "This group runs as many jobs as it may at once: 30 of 30.",
        },
        {"reason": "start", "jobs": 1, "since": moment(10), "message": "It is claimed, and its worker starts."},
    ]
    group = runner_group(maxEvictionRetries=2)
    group["status"] |= {"pendingJobs": 3, "waiting": waits}
    group["metadata"]["resourceVersion"] = "5"
    other = runner_group("team-b", "arm")
    other["status"]["pendingJobs"] = 4
    pod = worker_pod()
    pod["metadata"]["annotations"] |= {labels.RUN_ATTEMPT: "2", labels.RUNNER_NAME: "r-1"}
    manifests = [
        one for one in healthy_cluster() if one["metadata"]["name"] not in ("team-a-cpu", pod["metadata"]["name"])
    ]
    tenant = [namespace("team-b"), gateway("team-b"), agent_pod("team-b"), other]
    ended = worker_pod(name="runner-team-a-cpu-0002", phase="Succeeded")
    return Gw(ClusterDouble(*manifests, group, pod, ended, *tenant, ledger(ENTRIES, repositories="{}")))


def agent(gw: Gw, state: RerunState = RerunState.REQUESTED, *, looks: int = 3) -> None:
    """The tenant's agent takes requests at the first look, and decides them some looks later."""
    seen = 0

    def act() -> None:
        nonlocal seen
        seen += 1
        request = parse_request((gw.cluster.objects[GROUP]["metadata"].get("annotations") or {}).get(labels.RERUN))
        data = gw.cluster.objects[LEDGER]["data"]
        for key, text in data.items():
            if request is None or key == "repositories":
                continue
            known = parse(text)
            for runner in known.jobs.keys() & request.runners:
                known = requested(known, runner, request.token, gw.clock.now())
                known = settled(known, known.jobs[runner], state) if seen >= looks else known
            data[key] = render(known)

    gw.clock.on_sleep = act


# -- list --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "json", "short"])
def test_all_jobs_are_listed_as_kept(jobs: Gw, output: str) -> None:
    answer = jobs("job", "list", "-A", "-o", output)
    assert answer.code == 0, answer
    check_golden(f"job-list.{output}.txt", answer.out)


@pytest.mark.parametrize(
    ("states", "running", "waiting", "lost_"),
    [
        (("running",), 1, 0, []),
        (("waiting",), 0, 2, []),
        (("lost",), 0, 0, ["manual", "exhausted"]),
        (("rerun",), 0, 0, ["requested"]),
        (("running", "rerun"), 1, 0, ["requested"]),
    ],
)
def test_a_list_holds_only_the_states_that_were_asked_for(
    jobs: Gw, states: tuple[str, ...], running: int, waiting: int, lost_: list[str]
) -> None:
    answer = jobs("job", "list", "team-a", "-o", "json", *(part for state in states for part in ("--state", state)))
    document = json.loads(answer.out)
    assert (answer.code, len(document["running"]), len(document["waiting"])) == (0, running, waiting)
    assert [job["state"] for job in document["lost"]] == lost_


def test_a_tenant_without_jobs_says_so(jobs: Gw) -> None:
    jobs.cluster.objects[("runnergroups", "team-b", "team-b-arm")]["status"]["pendingJobs"] = 0
    answer = jobs("job", "list", "team-b")
    assert (answer.code, answer.out, answer.err) == (0, "No job.\n", "")


def test_an_unreadable_entry_is_shown_as_one_and_hides_no_other(jobs: Gw) -> None:
    jobs.cluster.objects[LEDGER]["data"] |= {"8": '{"repository": "octo/demo", "later": true}', "x": "y"}
    answer = jobs("job", "list", "team-a", "-o", "json")
    states = {job["run_id"]: job["state"] for job in json.loads(answer.out)["lost"]}
    assert states == {7: "requested", 8: "unreadable", 9: "manual"}
    assert answer.code == 3
    table = jobs("job", "list", "team-a")
    assert (table.code, "unreadable" in table.out, "2 jobs need a person" in table.out) == (3, True, True)
    shown = jobs("job", "show", "8")
    assert (shown.code, "of a later release, or edited" in shown.out) == (3, True)
    assert jobs("job", "rerun", "8", "--yes").code == 2


# -- what gw may not see -----------------------------------------------------------------------------------------------

FORBIDDEN = 'configmaps "actions-gateway-reruns" is forbidden: User "eve" cannot get resource "configmaps"'


@pytest.mark.parametrize("where", [("team-a",), ("-A",)])
def test_without_the_right_to_the_ledger_the_rest_is_shown_and_the_right_named(
    jobs: Gw, where: tuple[str, ...]
) -> None:
    for verb in ("get", "list"):
        jobs.cluster.refusals[verb, "configmaps"] = errors.Forbidden(FORBIDDEN, status=403)
    answer = jobs("job", "list", *where)
    assert answer.code == 3
    assert "runner-team-a-cpu-0001" in answer.out
    assert f"Not seen: could not read the ledger of lost jobs: {FORBIDDEN}" in answer.out
    assert jobs("job", "list", *where, "--state", "running").code == 0


@pytest.mark.parametrize("arguments", [("7",), ("--lost", "-n", "team-a")])
def test_without_the_right_to_the_ledger_nothing_is_rerun(jobs: Gw, arguments: tuple[str, ...]) -> None:
    for verb in ("get", "list"):
        jobs.cluster.refusals[verb, "configmaps"] = errors.Forbidden(FORBIDDEN, status=403)
    answer = jobs("job", "rerun", *arguments, "--yes")
    assert (answer.code, jobs.cluster.patched) == (3, [])
    assert FORBIDDEN in answer.err


def test_without_the_right_to_annotate_it_is_refused_before_anybody_is_asked(jobs: Gw) -> None:
    refusal = 'runnergroups "team-a-cpu" is forbidden: User "eve" cannot patch resource "runnergroups"'
    jobs.cluster.refusals["patch", "runnergroups"] = errors.Forbidden(refusal, status=403)
    answer = jobs("job", "rerun", "7", answer="y\n")
    assert answer.code == 2
    assert refusal in answer.err
    assert "[y/N]" not in answer.err


def test_what_an_agent_said_before_it_went_is_not_taken_for_the_present(jobs: Gw) -> None:
    jobs.cluster.put(agent_pod("team-b", is_ready=False))
    answer = jobs("job", "list", "-A")
    assert answer.code == 3
    assert "Not seen: what waits and what was lost in team-b: no agent is ready there" in answer.out
    assert "gw health team-b --check agent.available" in answer.out
    assert "team-b-arm" in answer.out
    assert jobs("job", "show", "7").code == 0, "it is another tenant's"
    assert jobs("job", "list", "team-a").code == jobs("job", "list", "-A", "--state", "running").code == 0
    jobs.cluster.objects["actionsgateways", "team-b", "team-b"]["metadata"]["annotations"] = {labels.CONTAINED: "x"}
    assert jobs("job", "list", "-A").code == 0, "no agent is wanted there"
    agent(jobs)
    assert jobs("job", "rerun", "7", "--yes").code == 0, "another tenant's agent keeps nobody from a rerun"


def test_an_interrupt_says_that_the_request_stays(jobs: Gw) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    jobs.clock.on_sleep = interrupt
    answer = jobs("job", "rerun", "7", "--yes")
    assert answer.code == 130
    assert "Interrupted; 1 rerun asked for, which the tenant's agent carries out without gw." in answer.err
    assert "`gw job list team-a --state rerun --state lost`" in answer.err


@pytest.mark.parametrize("command", ["show", "rerun"])
def test_all_tenants_are_looked_through_though_a_setting_names_one(jobs: Gw, command: str) -> None:
    with environment(GW_NAMESPACE="team-b"):
        options = ("--dry-run",) if command == "rerun" else ()
        assert jobs("job", command, f"{RUNS}/7", *options).code == 2
        assert jobs("job", command, f"{RUNS}/7", "-A", *options).code == 0


def test_a_rerun_that_no_agent_hears_is_asked_for_and_says_so(jobs: Gw) -> None:
    jobs.cluster.put(agent_pod(is_ready=False))
    answer = jobs("job", "rerun", "--lost", "-n", "team-a", "--yes", "--timeout", "5s")
    assert (answer.code, jobs.cluster.patched) == (5, ["RunnerGroup team-a-cpu"])
    assert "gw health team-a --check agent.available" in answer.err
    shown = jobs("job", "show", "7")
    assert (shown.code, "no agent is ready there, so it may have changed" in shown.out) == (3, True)


# -- show --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "name"),
    [(f"{RUNS}/7", "run"), ("9", "manual"), ("runner-team-a-cpu-0001", "pod")],
)
def test_a_run_a_job_and_a_pod_are_shown_as_kept(jobs: Gw, reference: str, name: str) -> None:
    answer = jobs("job", "show", reference)
    assert answer.code == 0, answer
    check_golden(f"job-show.{name}.txt", answer.out)


def test_the_document_of_a_run_has_its_workers_and_losses(jobs: Gw) -> None:
    document = json.loads(jobs("job", "show", "17000000001", "-o", "json").out)
    assert [one["phase"] for one in document["workers"]] == ["Running", "Succeeded"]
    document = json.loads(jobs("job", "show", f"{RUNS}/7/job/12", "-o", "json").out)
    assert [(job["job"], job["job_id"], job["retries_left"]) for job in document["lost"]] == [("lint", 12, 0)]


@pytest.mark.parametrize(
    ("reference", "code", "said"),
    [
        ("404", 2, "nothing is known of 404"),
        ("runner-nobody", 2, "nothing is known of runner-nobody"),
        (f"{RUNS}/404", 2, "nothing is known of"),
        ("https://github.com/octo/other/actions/runs/7", 2, "nothing is known of"),
        ("https://ghe.example/octo/demo/actions/runs/7", 2, "no gateway works for ghe.example"),
        ("https://github.com/octo/demo/pull/7", 2, "is not the address of a run"),
        ("https://[x/octo/demo/actions/runs/7", 2, "is no address"),
        ("Run 7", 2, "names no run and no pod"),
        ("99999999999999999999999", 2, "nothing is known of"),
    ],
)
def test_a_reference_that_means_nothing_is_refused_with_a_next_step(
    jobs: Gw, reference: str, code: int, said: str
) -> None:
    for command in (("job", "show", reference), ("job", "rerun", reference, "--yes")):
        answer = jobs(*command)
        assert answer.code == code, answer
        assert said in answer.err
        assert "Next:  " in answer.err
        assert jobs.cluster.patched == []


@pytest.mark.parametrize(
    "command", [("list", "team-x"), ("show", "7", "-n", "team-x"), ("rerun", "--lost", "-n", "team-x")]
)
def test_a_tenant_without_a_gateway_is_refused(jobs: Gw, command: tuple[str, ...]) -> None:
    answer = jobs("job", *command)
    assert answer.code == 2
    assert "there is no namespace team-x" in answer.err


def test_an_unknown_state_is_refused_with_those_that_there_are(jobs: Gw) -> None:
    answer = jobs("job", "list", "--state", "bored")
    assert answer.code == 2
    assert "--state bored" in answer.err
    assert "running, waiting, lost, rerun" in answer.err


# -- rerun -------------------------------------------------------------------------------------------------------------


def test_a_rerun_is_planned_checked_confirmed_asked_for_and_followed(jobs: Gw) -> None:
    agent(jobs)
    answer = jobs("job", "rerun", f"{RUNS}/7", answer="y\n")
    assert answer.code == 0, answer
    assert jobs.cluster.rehearsed == jobs.cluster.patched == ["RunnerGroup team-a-cpu"]
    check_golden("job-rerun.txt", str(answer))
    known = parse(jobs.cluster.objects[LEDGER]["data"]["7"])
    assert (known.retries, known.jobs["r-7"].state) == (2, RerunState.REQUESTED)


@pytest.mark.parametrize(
    ("arguments", "runners"),
    [
        (("7",), ["r-7"]),
        (("9", "7"), ["r-9", "r-7"]),
        ((f"{RUNS}/9/job/13",), ["r-9"]),
        (("--exhausted", "-n", "team-a"), ["r-7"]),
        (("--lost", "-n", "team-a"), ["r-9", "r-7"]),
    ],
)
def test_jobs_are_selected_by_name_or_by_what_they_need(
    jobs: Gw, arguments: tuple[str, ...], runners: list[str]
) -> None:
    agent(jobs)
    answer = jobs("job", "rerun", *arguments, "--yes", "-o", "json")
    assert answer.code == 0, answer
    document = json.loads(answer.out)
    assert [(job["runner"], job["state"]) for job in document["jobs"]] == [(one, "requested") for one in runners]
    request = parse_request(jobs.cluster.objects[GROUP]["metadata"]["annotations"][labels.RERUN])
    assert request is not None
    assert (request.token, list(request.runners)) == (document["request"], runners)


def test_a_dry_run_lets_the_server_check_and_asks_for_nothing(jobs: Gw) -> None:
    answer = jobs("job", "rerun", "--lost", "-n", "team-a", "--dry-run", "-o", "json")
    assert (answer.code, jobs.cluster.patched, jobs.cluster.rehearsed) == (0, [], ["RunnerGroup team-a-cpu"])
    document = json.loads(answer.out)
    assert (document["dry_run"], document["request"], len(document["jobs"])) == (True, None, 2)


@pytest.mark.parametrize(
    ("typed", "said"), [(None, "there is no terminal to ask on"), ("n\n", "nothing was asked for"), ("", "nothing was")]
)
def test_without_a_yes_nothing_is_asked_for(jobs: Gw, typed: str | None, said: str) -> None:
    answer = jobs("job", "rerun", "7", answer=typed)
    assert (answer.code, jobs.cluster.patched) == (2, [])
    assert said in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which jobs to rerun was not said"),
        (("7", "--lost"), "said twice"),
        (("--exhausted", "--lost", "-n", "team-a"), "said twice"),
        (("--lost",), "no tenant was named"),
        (("7", "--timeout", "soon"), "--timeout"),
    ],
)
def test_what_is_said_twice_or_not_at_all_is_refused(jobs: Gw, arguments: tuple[str, ...], said: str) -> None:
    answer = jobs("job", "rerun", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_what_needs_no_rerun_is_refused_with_what_is_there(jobs: Gw) -> None:
    answer = jobs("job", "rerun", f"{RUNS}/7/job/12", "--yes")
    assert (answer.code, jobs.cluster.patched) == (2, [])
    assert "none of the 1 lost job needs a rerun" in answer.err
    assert "job lint of run 7 (octo/demo): requested" in answer.err
    del jobs.cluster.objects[LEDGER]
    answer = jobs("job", "rerun", "--lost", "-n", "team-a")
    assert answer.code == 2
    assert "there is no lost job in team-a" in answer.err


def test_what_a_person_cancelled_is_rerun_by_name_only(jobs: Gw) -> None:
    jobs.cluster.objects[LEDGER]["data"] = {"7": render(entry(lost("r-7", RerunState.WITHHELD)))}
    assert jobs("job", "rerun", "--lost", "-n", "team-a", "--yes").code == 2
    agent(jobs)
    assert jobs("job", "rerun", "7", "--yes").code == 0


def test_a_rerun_that_github_refuses_is_a_problem(jobs: Gw) -> None:
    agent(jobs, RerunState.REFUSED)
    answer = jobs("job", "rerun", "7", "--yes")
    assert answer.code == 1
    assert answer.out == "0 of 1 job rerun, 1 cannot be rerun: look at their runs.\n"


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (False, "no agent has taken the request for 1 job after 30 s"),
        (True, "1 job still waits for its run's end after 30 s"),
    ],
)
def test_a_wait_that_ends_in_vain_says_who_it_waited_for_and_that_the_request_stays(
    jobs: Gw, take: bool, said: str
) -> None:
    if take:
        agent(jobs, looks=1000)
    answer = jobs("job", "rerun", "7", "--yes", "--timeout", "30s")
    assert answer.code == 5
    assert said in answer.err
    assert "asked for" in answer.err
    assert labels.RERUN in jobs.cluster.objects[GROUP]["metadata"]["annotations"]


def test_an_earlier_request_that_no_agent_has_taken_is_kept(jobs: Gw) -> None:
    jobs.cluster.objects[GROUP]["metadata"]["annotations"] = {labels.RERUN: "token-0 r-9 stranger", "a": "b"}
    agent(jobs)
    assert jobs("job", "rerun", "7", "--yes").code == 0
    annotations = jobs.cluster.objects[GROUP]["metadata"]["annotations"]
    assert annotations["a"] == "b"
    assert annotations[labels.RERUN].split()[1:] == ["r-9", "r-7"]
    assert jobs("job", "rerun", "7", "--yes").code == 2, "it needs none any more"


def test_a_later_request_of_somebody_else_decides_for_the_first_one_too(jobs: Gw) -> None:
    """The second person's request names what the first one's asked for and nobody had taken, under its own token."""
    agent(jobs)
    take, annotations = jobs.clock.on_sleep, dict[str, str]()

    def somebody_else() -> None:
        metadata = jobs.cluster.objects[GROUP]["metadata"]
        if not annotations:
            annotations.update(metadata["annotations"])
            metadata["annotations"] = {labels.RERUN: "token-of-another r-7 r-9"}
        take()

    jobs.clock.on_sleep = somebody_else
    answer = jobs("job", "rerun", "7", "--yes", "--timeout", "30s")
    assert answer.code == 0, answer
    assert answer.out == "1 of 1 job rerun.\n"
    assert parse(jobs.cluster.objects[LEDGER]["data"]["7"]).jobs["r-7"].request == "token-of-another"


def many(count: int) -> dict[int, RunEntry]:
    runs = [entry(lost(f"m-{number}", RerunState.MANUAL, Cause.LOCK_LOST)) for number in range(count)]
    return {100 + number: run for number, run in enumerate(runs)}


def test_more_jobs_than_a_request_holds_are_asked_for_in_turns(jobs: Gw) -> None:
    jobs.cluster.put(ledger(many(MOST_OF_A_REQUEST * 2 + 1)))
    agent(jobs, looks=2)
    answer = jobs("job", "rerun", "--lost", "-n", "team-a", "--yes")
    assert answer.code == 0, answer
    assert answer.out == "129 of 129 jobs rerun.\n"
    assert jobs.cluster.patched == ["RunnerGroup team-a-cpu"] * 3
    assert [line.split()[1] for line in answer.err.splitlines() if line.startswith("asked")] == ["64", "64", "1"]


def test_a_turn_that_no_agent_takes_names_what_was_not_asked_for(jobs: Gw) -> None:
    jobs.cluster.put(ledger(many(MOST_OF_A_REQUEST + 1)))
    answer = jobs("job", "rerun", "--lost", "-n", "team-a", "--yes", "--timeout", "30s")
    assert (answer.code, len(jobs.cluster.patched)) == (5, 1)
    assert "no agent has taken the request for 64 jobs after 30 s" in answer.err
    assert answer.err.count("not taken by an agent yet: ") == 64
    assert answer.err.count("not asked for yet: ") == 1


def test_what_does_not_fit_beside_an_untaken_request_is_refused(jobs: Gw) -> None:
    jobs.cluster.put(ledger(many(MOST_OF_A_REQUEST + 1)))
    earlier = " ".join(f"m-{number}" for number in range(MOST_OF_A_REQUEST))
    jobs.cluster.objects[GROUP]["metadata"]["annotations"] = {labels.RERUN: f"token-0 {earlier}"}
    answer = jobs("job", "rerun", str(100 + MOST_OF_A_REQUEST), "--yes")
    assert (answer.code, jobs.cluster.patched) == (2, [])
    assert (
        "a request at team-a/team-a-cpu for 1 job and 64 that an earlier one names and no agent has taken" in answer.err
    )
    assert "At most 64 fit into one" in answer.err


def test_a_group_that_changes_meanwhile_is_asked_anew(jobs: Gw, monkeypatch: pytest.MonkeyPatch) -> None:
    agent(jobs)
    patch: Callable[..., Any] = jobs.cluster.patch
    conflicts = iter([True, False, True, False])

    async def contested(*arguments: Any, **options: Any) -> Any:
        if next(conflicts, False):
            raise errors.Conflict("the object has been modified", status=409)
        return await patch(*arguments, **options)

    monkeypatch.setattr(jobs.cluster, "patch", contested)
    assert jobs("job", "rerun", "7", "--yes").code == 0
    assert jobs.cluster.patched == ["RunnerGroup team-a-cpu"]


def test_a_group_that_is_gone_leaves_the_rerun_to_github(jobs: Gw) -> None:
    del jobs.cluster.objects[GROUP]
    answer = jobs("job", "rerun", "7", "--yes")
    assert answer.code == 2
    assert "the runner group team-a-cpu of team-a is gone" in answer.err


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"annotations": {labels.CONTAINED: "incident"}}, "contained"),
        ({"deletionTimestamp": moment(5)}, "deleting"),
    ],
)
def test_a_gateway_without_an_agent_takes_no_request(jobs: Gw, change: Manifest, state: str) -> None:
    jobs.cluster.objects["actionsgateways", "team-a", "team-a"]["metadata"] |= change
    answer: Answer = jobs("job", "rerun", "7", "--yes")
    assert (answer.code, jobs.cluster.patched) == (2, [])
    assert f"the gateway of team-a is {state}" in answer.err


# -- what a reference may mean -----------------------------------------------------------------------------------------


@pytest.fixture
def two_tenants(jobs: Gw) -> Gw:
    """Both tenants lost a job of a run with the same number, which they may have at two GitHubs."""
    other = {7: entry(replace(lost("b-7", RerunState.EXHAUSTED), group="team-b-arm"))}
    jobs.cluster.put(ledger(other, "team-b"))
    return jobs


def planned(gw: Gw, *arguments: str) -> list[str]:
    """The runners of the jobs that a rerun would ask for."""
    answer = gw("job", "rerun", *arguments, "--dry-run", "-o", "json")
    assert answer.code == 0, answer
    return [job["runner"] for job in json.loads(answer.out)["jobs"]]


def test_a_bare_id_that_may_be_of_two_tenants_is_refused_with_both(two_tenants: Gw) -> None:
    answer = two_tenants("job", "rerun", "7", "--yes")
    assert (answer.code, two_tenants.cluster.patched) == (2, [])
    assert "7 may be a run of team-a or of team-b" in answer.err
    assert "Name the tenant with -n" in answer.err
    shown = json.loads(two_tenants("job", "show", "7", "-o", "json").out)
    assert sorted({job["tenant"] for job in shown["lost"]}) == ["team-a", "team-b"]
    assert planned(two_tenants, "7", "-n", "team-b") == ["b-7"]
    assert planned(two_tenants, "7", "-n", "team-a") == ["r-7"]


def test_an_address_means_the_tenants_of_its_own_host(two_tenants: Gw) -> None:
    assert sorted(planned(two_tenants, f"{RUNS}/7")) == ["b-7", "r-7"]
    elsewhere = two_tenants.cluster.objects["actionsgateways", "team-b", "team-b"]
    elsewhere["spec"]["gitHubURL"] = "https://ghe.example/octo/demo"
    assert planned(two_tenants, f"{RUNS}/7") == ["r-7"]
    assert planned(two_tenants, "https://ghe.example/octo/demo/actions/runs/7") == ["b-7"]


def test_a_job_whose_id_is_not_known_is_shown_and_not_rerun_for_another(jobs: Gw) -> None:
    unknown = lost("r-0", RerunState.EXHAUSTED, job_id=None, name="x")
    jobs.cluster.put(ledger({7: entry(lost("r-7", RerunState.EXHAUSTED), unknown)}))
    assert planned(jobs, f"{RUNS}/7/job/11") == ["r-7"]
    answer = jobs("job", "rerun", f"{RUNS}/7/job/99", "--yes")
    assert (answer.code, jobs.cluster.patched) == (2, [])
    assert "the ledger does not say which lost job of run 7 is 99" in answer.err
    assert "team-a: job x of run 7 (octo/demo): exhausted" in answer.err
    assert "`gw job rerun 7 -n team-a` reruns all" in answer.err
    shown = json.loads(jobs("job", "show", f"{RUNS}/7/job/99", "-o", "json").out)
    assert [job["runner"] for job in shown["lost"]] == ["r-0"]
    assert planned(jobs, "7") == ["r-0", "r-7"]
