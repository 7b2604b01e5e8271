"""gw tenant add: what it tells while a tenant becomes Ready, and when it gives up."""

from actions_gateway.api.conditions import Reason
from actions_gateway.kube import errors

from .objects import agent_available, credential_missing, ready
from .onboarding import NAMES, Manifest, Onboarding, manager_makes_ready


def status_of(add: Onboarding, conditions: list[Manifest]) -> None:
    """The manager reports these conditions instead of Ready."""

    def on_create(manifest: Manifest) -> None:
        if manifest["kind"] == "ActionsGateway":
            add.cluster.put({**manifest, "status": {"observedGeneration": 1, "conditions": conditions}})

    add.cluster.on_create = on_create


def test_a_tenant_that_does_not_become_ready_exits_with_5_and_the_reason(add: Onboarding) -> None:
    status_of(add, [ready("False", Reason.AGC_NOT_READY, "the agent has no ready pod: quota exceeded")])
    answer = add("--timeout", "20s")
    assert answer.code == 5
    assert "team-a is not Ready after 20 s (AGCNotReady: the agent has no ready pod: quota exceeded)" in answer.err
    assert "gw health team-a" in answer.err
    assert add.cluster.created == NAMES


def test_without_a_manager_the_next_step_is_the_manager(add: Onboarding) -> None:
    add.cluster.on_create = lambda _: None
    answer = add("--timeout", "5s")
    assert answer.code == 5
    assert "no manager has reported on the gateway yet" in answer.err
    assert "--check manager.running" in answer.err


def test_a_key_that_the_agent_finds_rejected_ends_the_wait_at_once_with_4(add: Onboarding) -> None:
    status_of(
        add,
        [
            ready("False", Reason.KEY_REJECTED, "x"),
            agent_available(),
            credential_missing("True", Reason.KEY_REJECTED, "GitHub does not accept the key"),
        ],
    )
    answer = add("--skip-github-check")
    assert answer.code == 4
    assert "KeyRejected: GitHub does not accept the key" in answer.err
    assert add.gw.clock.slept_seconds < 5


def test_a_gateway_that_the_manager_does_not_serve_ends_the_wait_at_once(add: Onboarding) -> None:
    status_of(add, [ready("False", Reason.ANOTHER_GATEWAY, "older serves this namespace")])
    answer = add()
    assert answer.code == 2
    assert "older serves this namespace" in answer.err


def test_progress_is_told_once_each_as_it_becomes_true(add: Onboarding) -> None:
    status_of(add, [ready("False", Reason.AGC_NOT_READY, "starting")])
    play = manager_makes_ready(add.cluster)

    def world() -> None:
        if add.gw.clock.slept_seconds >= 1:
            play(add.cluster.objects["actionsgateways", "team-a", "team-a"])

    add.gw.clock.on_sleep = world
    answer = add()
    assert answer.code == 0
    reached = [line.split(maxsplit=1)[1] for line in answer.err.splitlines() if line.startswith("ready ")]
    assert reached == [
        "the agent is available",
        "GitHub accepts the App credential",
        "runner group team-a-cpu has an open session",
        "gateway team-a is Ready",
        "gateway.ready, agent.available, credential.available, session.open, gateway.proxy verified",
    ]
    assert answer.err.count("AGCNotReady: starting") == 1


def test_a_check_that_still_finds_a_problem_ends_the_wait_with_its_words(add: Onboarding) -> None:
    play = manager_makes_ready(add.cluster)

    def without_proxies(manifest: Manifest) -> None:
        play(manifest)
        for key in [key for key in add.cluster.objects if key[0] == "pods" and "proxy" in key[2]]:
            del add.cluster.objects[key]

    add.cluster.on_create = without_proxies
    answer = add("--timeout", "20s")
    assert answer.code == 5, answer
    assert "a check still finds a problem (gateway.proxy: nothing reaches GitHub" in answer.err
    assert "kubectl describe deploy -n team-a actions-gateway-proxy" in answer.err


def test_what_a_check_could_not_see_is_told_as_unproven(add: Onboarding) -> None:
    refusal = errors.Forbidden('pods is forbidden: User "dev" cannot list resource "pods"', status=403)
    add.cluster.refusals["list", "pods"] = refusal
    answer = add()
    assert answer.code == 0, answer
    assert 'Unproven: session.open: could not list pods: pods is forbidden: User "dev"' in answer.err
