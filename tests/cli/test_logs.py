"""`gw logs` on a cluster in memory."""

import asyncio
import json
from collections.abc import Callable

import pytest

from actions_gateway.api import labels, names
from actions_gateway.kube import errors

from .double import ClusterDouble
from .objects import agent_pod, container, healthy_cluster, namespace, proxy_pod, worker_pod
from .rig import Gw, SteppingClock, check_golden

AGENT = ("team-a", f"{names.AGENT}-abc12", names.AGENT_CONTAINER)
WORKER = ("team-a", "runner-team-a-cpu-0001", "runner")
RUN = "17000000001"
TOKEN = "ghs_" + "A1b2" * 9


def line(text: str, at: str = "08:00:00.000000001") -> bytes:
    """As the API server writes it with `timestamps`."""
    return f"2026-01-05T{at}Z {text}\n".encode()


def entry(event: str, level: str = "info", at: str = "08:00:00.000000001", **fields: object) -> bytes:
    """As a component of ours writes it."""
    return line(json.dumps({**fields, "event": event, "level": level, "timestamp": f"2026-01-05T{at}Z"}), at)


@pytest.fixture
def gw() -> Gw:
    gw = Gw(ClusterDouble(*healthy_cluster()))
    gw.cluster.logs[AGENT] = [
        entry("session opened", at="08:00:01.5", group="team-a-cpu", slot=1),
        entry("poll failed", "warning", "08:00:03.25", reason="rate limited", run_id=RUN),
        entry("worker lost", "error", "08:00:05", exception="Traceback\n  File x\nValueError: odd", pod=WORKER[1]),
        line("Fatal Python error: Aborted\x1b[2J", "08:00:06"),
    ]
    for number, second in ((1, 2), (2, 4)):
        gw.cluster.logs["team-a", f"{names.PROXY}-abc1{number}", names.PROXY_CONTAINER] = [
            line(f"[2026-01-05 08:00:0{second}.000][7][warning][config] listener {number} changed", f"08:00:0{second}")
        ]
    gw.cluster.logs[WORKER] = [
        line("[WORKER 2026-01-05 08:00:00Z INFO JobRunner] began", "08:00:00.1"),
        line("[WORKER 2026-01-05 08:00:00Z ERR  JobRunner] broke", "08:00:00.2"),
    ]
    return gw


@pytest.mark.parametrize("output", ["table", "json", "short"])
def test_the_agents_log_is_as_kept(gw: Gw, output: str) -> None:
    answer = gw("logs", "agent", "-n", "team-a", "-o", output)
    assert (answer.code, answer.err) == (0, ""), answer
    assert "\x1b" not in answer.out
    check_golden(f"logs-agent.{output}.txt", answer.out)


def test_each_line_is_one_json_object_with_the_versioned_kind(gw: Gw) -> None:
    found = [json.loads(each) for each in gw("logs", "agent", "-n", "team-a", "-o", "json").out.splitlines()]
    assert {(each["version"], each["kind"]) for each in found} == {("gw/v1", "LogLine")}
    assert found[1]["fields"]["reason"] == "rate limited"
    assert json.loads(found[1]["text"])["event"] == "poll failed"


def test_lines_of_several_pods_come_by_time_each_after_its_pods_name(gw: Gw) -> None:
    out = gw("logs", "proxy", "-n", "team-a").out.splitlines()
    assert [each.split()[1] for each in out] == [f"{names.PROXY}-abc11", f"{names.PROXY}-abc12"]
    assert out[0].endswith("warning [config] listener 1 changed")


def test_a_level_leaves_out_what_is_less_and_keeps_what_says_none(gw: Gw) -> None:
    out = gw("logs", "agent", "-n", "team-a", "--level", "error").out
    assert "worker lost" in out
    assert "Fatal Python error" in out
    assert "poll failed" not in out
    assert gw("logs", "worker", "-n", "team-a", "--level", "error").out.endswith("error   broke\n")


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["--job", RUN], ["poll failed", "worker lost"]),
        (["--job", f"https://github.com/octo/demo/actions/runs/{RUN}"], ["poll failed", "worker lost"]),
        (["--grep", "POLL"], ["poll failed"]),
        (["--tail", "1", "--level", "warning", "--grep", "o"], ["Fatal"]),
    ],
    ids=["of a run", "of a run by its address", "by text", "the last of those that fit"],
)
def test_only_lines_that_fit_are_shown(gw: Gw, arguments: list[str], kept: list[str]) -> None:
    out = gw("logs", "agent", "-n", "team-a", "-o", "short", *arguments).out.splitlines()
    assert len(out) == len(kept), out
    assert all(word in each for word, each in zip(kept, out, strict=True))


@pytest.mark.parametrize("target", [RUN, WORKER[1], f"https://github.com/octo/demo/actions/runs/{RUN}/job/3"])
def test_a_run_or_a_pod_is_found_in_any_tenant(gw: Gw, target: str) -> None:
    assert "began" in gw("logs", target).out


def test_the_managers_log_needs_no_tenant(gw: Gw) -> None:
    pod = agent_pod(names.MANAGER_NAMESPACE, containers=[container("manager")])
    pod["metadata"] |= {"name": "gmc-0", "labels": {labels.APP_NAME: "gmc"}}
    gw.cluster.put(pod)
    gw.cluster.logs[names.MANAGER_NAMESPACE, "gmc-0", "manager"] = [entry("leading")]
    assert gw("logs", "manager").out == "2026-01-05T08:00:00.000Z info    leading\n"


def test_without_since_the_last_200_lines_are_read_and_that_is_said(gw: Gw) -> None:
    gw.cluster.logs[AGENT] = [entry(f"event {number}") for number in range(300)]
    answer = gw("logs", "agent", "-n", "team-a", "-o", "short")
    assert len(answer.out.splitlines()) == 200
    assert "event 100" in answer.out.splitlines()[0]
    assert "these are the last 200 lines of each container; more: --tail N" in answer.err
    assert gw.cluster.log_queries[-1]["tailLines"] == "201"
    whole = gw("logs", "agent", "-n", "team-a", "-o", "short", "--since", "1h30m")
    assert (len(whole.out.splitlines()), whole.err) == (300, "")
    assert gw.cluster.log_queries[-1]["sinceSeconds"] == "5400"


def test_a_container_that_starts_again_and_again_is_named_with_the_log_before(gw: Gw) -> None:
    looping = container(
        names.AGENT_CONTAINER,
        restarts=3,
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        last={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
    )
    gw.cluster.put(agent_pod(containers=[looping]))
    gw.cluster.logs_before[AGENT] = [entry("the run before")]
    noted = gw("logs", "agent", "-n", "team-a").err
    assert "was restarted 3 times, last after OOMKilled and is in CrashLoopBackOff" in noted
    assert "--previous" in noted
    before = gw("logs", "agent", "-n", "team-a", "--previous")
    assert before.out.endswith("the run before\n")
    assert before.err == ""


def test_a_key_or_a_token_in_a_log_is_left_out(gw: Gw) -> None:
    key = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEabcdef0123456789+/abcdef", "-----END RSA PRIVATE KEY-----"]
    gw.cluster.logs[WORKER] = [line(f"token is {TOKEN}"), *map(line, key), line("after")]
    for output in ("table", "json", "short"):
        out = gw("logs", "worker", "-n", "team-a", "-o", output).out
        assert TOKEN not in out
        assert "MIIE" not in out
        assert "after" in out


# -- what is not there, and what may not be


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["agent"], 2, "no tenant was named"),
        (["agent", "-n", "team-x"], 2, "there is no namespace team-x"),
        (["agnet", "-n", "team-a"], 2, "Did you mean `gw logs agent`?"),
        (["42"], 2, "no worker of 42 is in any tenant"),
        (["A B"], 2, "names no run and no pod"),
        (["manager"], 3, "the manager has no pod"),
        (["agent", "-n", "team-a", "--since", "1 day"], 2, "--since"),
        (["agent", "-n", "team-a", "--tail", "0"], 2, "--tail 0"),
        (["agent", "-n", "team-a", "--level", "loud"], 2, "Levels: debug, info, warning, error"),
        (["agent", "-n", "team-a", "--previous"], 2, "no container of the agent of team-a was restarted"),
        (["agent", "-n", "team-a", "--previous", "-f"], 2, "Leave out one"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(gw: Gw, arguments: list[str], code: int, said: str) -> None:
    answer = gw("logs", *arguments)
    assert (answer.code, answer.out) == (code, ""), answer
    assert said in answer.err


def test_without_the_right_gw_is_blind_and_names_it(gw: Gw) -> None:
    what = 'pods "x" is forbidden: User "eve" cannot get resource "pods/log"'
    gw.cluster.refusals["get", "pods/log"] = errors.Forbidden(what, status=403, reason="Forbidden")
    answer = gw("logs", "agent", "-n", "team-a")
    assert answer.code == 3
    assert "pods/log" in answer.err


def test_a_connection_that_breaks_leaves_what_was_read_and_says_which_log_is_not_whole(gw: Gw) -> None:
    lost = errors.Unreachable("the Kubernetes API server at x gives no answer: the connection broke off")
    gw.cluster.logs["team-a", f"{names.PROXY}-abc11", names.PROXY_CONTAINER] = [line("one"), lost]
    answer = gw("logs", "proxy", "-n", "team-a")
    assert answer.code == 3
    assert "one" in answer.out
    assert "listener 2 changed" in answer.out
    assert f"Unread: proxy of {names.PROXY}-abc11: the Kubernetes API server at x gives no answer" in answer.err


def test_a_container_that_has_not_started_is_a_note_and_no_failure(gw: Gw) -> None:
    pulling = container("proxy", state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})
    pod = proxy_pod(number=2)
    pod["status"]["containerStatuses"] = [pulling]
    gw.cluster.put(pod)
    answer = gw("logs", "proxy", "-n", "team-a")
    assert answer.code == 0, answer
    assert "proxy of actions-gateway-proxy-abc12 has not started: ImagePullBackOff no such image" in answer.err


# -- following


class YieldingClock(SteppingClock):
    """Lets other tasks run while it sleeps."""

    async def sleep(self, seconds: float) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        await super().sleep(seconds)


def follow(gw: Gw, *steps: Callable[[], None]) -> None:
    """Carries out one step before each further look of a following, then interrupts it."""
    script = iter(steps)

    def on_sleep() -> None:
        step = next(script, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    gw.clock = YieldingClock()
    gw.clock.on_sleep = on_sleep


def test_following_goes_on_with_new_lines_and_new_pods_until_interrupted(gw: Gw) -> None:
    new = worker_pod(name="runner-team-a-cpu-0002")

    def appear() -> None:
        gw.cluster.put(new)
        gw.cluster.logs["team-a", "runner-team-a-cpu-0002", "runner"] = [line("the new one", "08:00:09")]
        gw.cluster.logs[WORKER].append(line("a later line", "08:00:08"))

    follow(gw, lambda: None, appear, lambda: None)
    answer = gw("logs", "worker", "-n", "team-a", "--follow")
    assert answer.code == 130, answer
    words = [each.rpartition(" ")[2] for each in answer.out.splitlines()]
    assert sorted(words) == ["began", "broke", "line", "one"]
    assert all(each.split()[1].startswith("runner-team-a-cpu-") for each in answer.out.splitlines())


def test_following_outlives_an_api_server_that_is_away_for_a_moment(gw: Gw) -> None:
    gone = errors.Unreachable("the Kubernetes API server at x gives no answer: refused")

    def back() -> None:
        gw.cluster.refusals.clear()
        gw.cluster.logs[AGENT].append(entry("back again", at="08:00:30"))

    follow(gw, lambda: gw.cluster.refusals.update({("*", "*"): gone}), lambda: None, back, lambda: None)
    answer = gw("logs", "agent", "-n", "team-a", "-f")
    assert answer.code == 130
    assert answer.err.count("gives no answer: refused; still trying") == 1
    assert answer.out.count("session opened") == 1
    assert answer.out.count("back again") == 1


def test_following_workers_outlives_the_last_of_them(gw: Gw) -> None:
    def all_gone() -> None:
        for key in [key for key in gw.cluster.objects if key[2] == WORKER[1]]:
            del gw.cluster.objects[key]

    def one_more() -> None:
        gw.cluster.put(worker_pod(name="runner-team-a-cpu-0002"))
        gw.cluster.logs["team-a", "runner-team-a-cpu-0002", "runner"] = [line("of the next", "08:00:09")]

    follow(gw, all_gone, lambda: None, lambda: None, one_more, lambda: None)
    answer = gw("logs", "worker", "-n", "team-a", "-f")
    assert answer.code == 130, answer
    assert "Error" not in answer.err
    assert [each.rpartition(" ")[2] for each in answer.out.splitlines()] == ["began", "broke", "next"]


def test_following_waits_for_a_pod_that_is_not_there_yet(gw: Gw) -> None:
    (key,) = [each for each in gw.cluster.objects if each[2] == AGENT[1]]
    pod = gw.cluster.objects.pop(key)
    follow(gw, lambda: gw.cluster.put(pod), lambda: None)
    answer = gw("logs", "agent", "-n", "team-a", "-f")
    assert answer.code == 130
    assert "has no agent pod, so there is no log; waiting for one" in answer.err
    assert "session opened" in answer.out


def test_a_tenant_without_a_namespace_of_that_name_is_refused_though_followed(gw: Gw) -> None:
    gw.cluster.put(namespace("shop"))
    answer = gw("logs", "agent", "-n", "shop", "-f")
    assert answer.code == 2
    assert "the namespace shop is not a tenant" in answer.err
