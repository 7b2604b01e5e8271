"""Each check passes where it should and fails where it should, reads only what it names, and has a page."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api.conditions import ConditionType, Reason
from gw.checks.catalog import CATALOG, HEALTH, INSTALLATION, PREREQUISITES
from gw.checks.engine import judge, select
from gw.checks.index import front_matter
from gw.checks.model import Check, Finding, Outcome
from gw.exits import ExitCode
from gw.ops.health import HealthReport
from gw.sources.definitions import OWN_VERSION, DefinitionFact
from gw.sources.facts import Facts, Known, Missing, Need
from gw.sources.gateways import ConditionFact, GatewayFact, GroupFact
from gw.sources.platform import DeploymentFact, LeaseFact, ManagerFact, ServedTypes
from gw.sources.pods import ContainerFact, PodFact, PodRole
from gw.sources.policies import PolicyFact
from gw.sources.prerequisites import MetricsFact, NetworkFact, PlaceFact
from gw.sources.rights import RightFact
from gw.sources.server import ClockFact, ServerFact
from gw_alerts.thresholds import Severity
from support.clock import START

PAGES = Path(__file__).parents[3] / "runbooks" / "checks"
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Verification"]
CHECKS = {check.id: check for check in CATALOG}


def ago(seconds: float) -> datetime:
    return START - timedelta(seconds=seconds)


def condition(kind: ConditionType, status: str, reason: Reason, *, seconds_ago: float = 3600) -> ConditionFact:
    return ConditionFact(kind.value, status, reason.value, "the cluster's own words.", ago(seconds_ago))


READY = condition(ConditionType.READY, "True", Reason.ALL_AVAILABLE)
AGENT_READY = condition(ConditionType.AGC_AVAILABLE, "True", Reason.AGC_READY)
PROXY_READY = condition(ConditionType.PROXY_AVAILABLE, "True", Reason.PROXY_READY)
WITHIN_LIMIT = condition(ConditionType.RATE_LIMITED, "False", Reason.WITHIN_RATE_LIMIT)
GROUPS_FINE = condition(ConditionType.RUNNER_GROUPS_DEGRADED, "False", Reason.RUNNER_GROUPS_HEALTHY)
CREDENTIAL_FINE = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "False", Reason.CREDENTIAL_AVAILABLE)
GATEWAY = GatewayFact(
    namespace="team-a",
    name="ci",
    created_at=ago(86400),
    github_url="https://github.com/octo",
    secret_name="github-app-v1",
    paused=False,
    group_names=("cpu",),
    conditions=(READY, AGENT_READY, PROXY_READY, CREDENTIAL_FINE, WITHIN_LIMIT, GROUPS_FINE),
    active_sessions=1,
    active_jobs=0,
    is_observed=True,
)
GROUP = GroupFact(
    namespace="team-a",
    name="ci-cpu",
    gateway="ci",
    created_at=ago(86400),
    runner_labels=("self-hosted", "linux"),
    max_listeners=1,
    worker_ceiling=30,
    suspended=False,
    active_sessions=1,
    active_jobs=0,
    pending_jobs=0,
    conditions=(condition(ConditionType.READY, "True", Reason.LISTENER_ACTIVE),),
)
AGENT = PodFact(
    "team-a", "agent-1", PodRole.AGENT, "Running", ago(86400), is_ready=True, containers=(ContainerFact("agc"),)
)
PROXY = PodFact("team-a", "proxy-1", PodRole.PROXY, "Running", ago(86400), is_ready=True)
WORKER = PodFact(
    "team-a", "runner-1", PodRole.WORKER, "Running", ago(60), group="ci-cpu", containers=(ContainerFact("runner"),)
)
PINNED = f"registry.example.com/controller@sha256:{'0' * 64}"
DEPLOYMENT = DeploymentFact("gmc", 2, 2, images=(PINNED,))
SERVER = ServerFact("https://cluster", "v1.36.3", (1, 36), frozenset({"apps", "monitoring.coreos.com"}))
DEFINITION = DefinitionFact("actionsgateways.actions-gateway.github.com", version=OWN_VERSION)
HEALTHY = Facts(
    now=START,
    served=Known(ServedTypes("https://cluster", frozenset({"actionsgateways", "runnergroups"}))),
    manager=Known(ManagerFact(DEPLOYMENT, LeaseFact("gmc-0", ago(3), 15.0))),
    gateways=Known((GATEWAY,)),
    groups=Known((GROUP,)),
    pods=Known((AGENT, PROXY, WORKER)),
    server=Known(SERVER),
    clock=Known(ClockFact(0.4, "admin")),
    definitions=Known((DEFINITION,)),
    rights=Known((RightFact("patch", "apps", "deployments", "gmc-system", True),)),
    policies=Known((PolicyFact("gmc-agent-pods"),)),
    pod_security=Known(True),
    network=Known(NetworkFact(enforcing=("Cilium",))),
    metrics=Known(MetricsFact(is_registered=True)),
    place=Known(PlaceFact()),
)


def manager(*, ready: int = 2, renewed_seconds_ago: float = 3, holder: str = "gmc-0") -> dict[str, Any]:
    lease = LeaseFact(holder, ago(renewed_seconds_ago), 15.0)
    return {"manager": Known(ManagerFact(DeploymentFact("gmc", 2, ready), lease))}


SCALED_TO_0 = {"manager": Known(ManagerFact(DeploymentFact("gmc", 0, 0), LeaseFact("", ago(90), 15.0)))}


def gateway(*conditions: ConditionFact, **changes: Any) -> dict[str, Any]:
    kept = [entry for entry in GATEWAY.conditions if entry.type not in {each.type for each in conditions}]
    return {"gateways": Known((replace(GATEWAY, conditions=(*kept, *conditions), **changes),))}


def group(*, silent_seconds: float = 600, **changes: Any) -> dict[str, Any]:
    silent = condition(ConditionType.READY, "False", Reason.NO_ACTIVE_SESSIONS, seconds_ago=silent_seconds)
    silenced: dict[str, Any] = {"active_sessions": 0, "conditions": (silent,)}
    return {"groups": Known((replace(GROUP, **(silenced | changes)),))}


def agent(**container: Any) -> dict[str, Any]:
    return {"pods": Known((replace(AGENT, containers=(ContainerFact("agc", **container),)),))}


def worker(*, container: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    containers = (ContainerFact("runner", **(container or {})),)
    return {"pods": Known((replace(WORKER, containers=containers, **changes),))}


def definition(**changes: Any) -> dict[str, Any]:
    return {"definitions": Known((replace(DEFINITION, **changes),))}


def policy(**changes: Any) -> dict[str, Any]:
    return {"policies": Known((PolicyFact("gmc-agent-pods", **changes),))}


def server(**changes: Any) -> dict[str, Any]:
    return {"server": Known(replace(SERVER, **changes))}


def images(*references: str) -> dict[str, Any]:
    lease = LeaseFact("gmc-0", ago(3), 15.0)
    return {"manager": Known(ManagerFact(DeploymentFact("gmc", 2, 2, images=references), lease))}


NO_PROXY = (ConditionType.PROXY_AVAILABLE, "False", Reason.PROXY_NOT_READY)
EDITED = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.EDITED_SECRET_UNUSABLE)
DELETING = condition(ConditionType.DELETING, "True", Reason.REMOVING_OBJECTS)
UNSERVED = condition(ConditionType.READY, "False", Reason.CONTAINED)
NOT_READY = condition(ConditionType.READY, "False", Reason.AGC_NOT_READY)


def untried(reason: Reason) -> dict[str, Any]:
    return gateway(condition(ConditionType.CREDENTIAL_UNAVAILABLE, "Unknown", reason))


def refused(seconds: float) -> dict[str, Any]:
    entry = condition(ConditionType.DEGRADED, "True", Reason.WORKERS_REFUSED, seconds_ago=seconds)
    return {"groups": Known((replace(GROUP, conditions=(*GROUP.conditions, entry)),))}


FAILING: list[tuple[str, str, dict[str, Any]]] = [
    ("api.crds-served", "one type is missing", {"served": Known(ServedTypes("x", frozenset({"runnergroups"})))}),
    ("api.crds-served", "the group is missing", {"served": Known(ServedTypes("x", frozenset()))}),
    ("manager.running", "no pod is ready", manager(ready=0)),
    ("manager.running", "it is scaled to 0", SCALED_TO_0),
    ("manager.running", "it is not installed", {"manager": Known(ManagerFact(None, None))}),
    ("manager.leading", "the lease has lapsed", manager(renewed_seconds_ago=16)),
    ("manager.leading", "nobody holds the lease", manager(holder="")),
    ("manager.leading", "there is no lease", {"manager": Known(ManagerFact(DeploymentFact("gmc", 2, 2), None))}),
    ("gateway.ready", "Ready is False", gateway(NOT_READY, created_at=ago(31))),
    ("gateway.ready", "nobody has reported", {"gateways": Known((replace(GATEWAY, conditions=()),))}),
    ("agent.available", "the agent is down", gateway(replace(AGENT_READY, status="False"))),
    ("agent.available", "nobody has reported", {"gateways": Known((replace(GATEWAY, conditions=()),))}),
    ("agent.available", "it died after its manager", {"pods": Known((WORKER,))}),
    ("agent.available", "its pod is not ready", {"pods": Known((replace(AGENT, is_ready=False),))}),
    ("agent.available", "only another tenant's is ready", {"pods": Known((replace(AGENT, namespace="team-b"),))}),
    ("worker.admitted", "pods are refused for over a minute", refused(61)),
    (
        "credential.available",
        "the key is rejected",
        gateway(condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED)),
    ),
    ("session.open", "no session for 10 min", group()),
    ("session.open", "no session for over a minute", group(silent_seconds=61)),
    ("session.open", "no session and no condition", group(conditions=())),
    ("session.open", "the agent that counted the sessions is gone", {"pods": Known((WORKER,))}),
    ("gateway.proxy", "no proxy is ready", gateway(condition(*NO_PROXY))),
    ("gateway.proxy", "they went after their manager", {"pods": Known((AGENT, WORKER))}),
    ("gateway.proxy", "its pods are not ready", {"pods": Known((AGENT, replace(PROXY, is_ready=False)))}),
    ("gateway.proxy", "only another tenant's is ready", {"pods": Known((AGENT, replace(PROXY, namespace="team-b")))}),
    (
        "gateway.proxy",
        "the last of few went after their manager",
        gateway(condition(ConditionType.PROXY_AVAILABLE, "True", Reason.PROXY_REDUCED)) | {"pods": Known((AGENT,))},
    ),
    (
        "gateway.groups",
        "workers are refused",
        gateway(condition(ConditionType.RUNNER_GROUPS_DEGRADED, "True", Reason.RUNNER_GROUPS_IMPAIRED)),
    ),
    (
        "gateway.rate-limit",
        "GitHub limits for long",
        gateway(condition(ConditionType.RATE_LIMITED, "True", Reason.SUSTAINED_RATE_LIMIT)),
    ),
    ("credential.edited", "the edit cannot be used", gateway(EDITED)),
    ("gateway.contained", "it is contained", gateway(contained=True)),
    ("gateway.paused", "it is paused", gateway(paused=True)),
    ("gateway.deleting", "it is deleted for over 10 min", gateway(DELETING, deleted_at=ago(601))),
    ("agent.stable", "it was killed for memory before", agent(restart_count=1, last_reason="OOMKilled")),
    ("agent.stable", "it is dead for memory", agent(terminated_reason="OOMKilled")),
    ("agent.stable", "it crash-loops", agent(waiting_reason="CrashLoopBackOff", last_reason="Error")),
    ("worker.starting", "Pending for 601 s", worker(phase="Pending", created_at=ago(601))),
    ("worker.image", "the image cannot be pulled", worker(container={"waiting_reason": "ErrImagePull"})),
    ("worker.image", "the reference is no reference", worker(container={"waiting_reason": "InvalidImageName"})),
    ("worker.stable", "it was killed for memory", worker(container={"terminated_reason": "OOMKilled"})),
    ("worker.stable", "its init container loops", worker(container={"waiting_reason": "CrashLoopBackOff"})),
    ("api.version", "it is 1.29", server(version="v1.29.8", number=(1, 29))),
    (
        "install.rights",
        "one right is missing",
        {"rights": Known((RightFact("create", "", "namespaces", "", False),))},
    ),
    ("install.place", "upstream's webhook is there", {"place": Known(PlaceFact(("a webhook",)))}),
    ("install.place", "upstream's definition is there", definition(upstream_marks=("annotation x",))),
    ("install.place", "the namespace is going", {"place": Known(PlaceFact(is_namespace_going=True))}),
    ("install.place", "a definition is going", definition(is_deleting=True)),
    ("api.crds-current", "it lacks a field", definition(missing_fields=("spec.paused",))),
    ("api.crds-current", "it is of an earlier release", definition(version="0.0.9")),
    ("api.crds-current", "it is of a later release", definition(version="9.1.0")),
    ("api.crds-current", "it has a field that nobody knows", definition(unknown_fields=("spec.later",))),
    ("api.crds-current", "it is upstream's", definition(upstream_marks=("annotation x",))),
    ("api.crds-current", "it is not served", definition(is_established=False)),
    ("policies.enforced", "a policy is gone", policy(exists=False)),
    ("policies.enforced", "a binding is gone", policy(missing_bindings=("gmc-agent-pods",))),
    ("policies.enforced", "a binding only audits", policy(missing_actions=("Deny",))),
    ("policies.enforced", "somebody changed a rule", policy(changed_fields=("spec.validations",))),
    ("pod-security.enforced", "any level is taken", {"pod_security": Known(False)}),
    ("network.enforced", "Flannel alone", {"network": Known(NetworkFact(idle=("Flannel",)))}),
    ("metrics.served", "nobody serves it", {"metrics": Known(MetricsFact(is_registered=False))}),
    ("metrics.served", "its server is down", {"metrics": Known(MetricsFact(True, "no endpoints"))}),
    ("monitoring.served", "no operator", server(groups=frozenset({"apps"}))),
    ("clock.agrees", "the server is 31 s ahead", {"clock": Known(ClockFact(31.0, "admin"))}),
    ("clock.agrees", "the server is 31 s behind", {"clock": Known(ClockFact(-31.0, "admin"))}),
    ("manager.pinned", "a tag floats", images(PINNED, "registry.example.com/controller:latest")),
]

PASSING: list[tuple[str, str, dict[str, Any]]] = [
    *((check.id, "all is well", {}) for check in CATALOG),
    ("manager.running", "one of two pods is ready", manager(ready=1)),
    ("manager.leading", "renewed 15 s ago", manager(renewed_seconds_ago=15)),
    (
        "gateway.proxy",
        "fewer than wanted are",
        gateway(condition(ConditionType.PROXY_AVAILABLE, "True", Reason.PROXY_REDUCED)),
    ),
    (
        "credential.edited",
        "the edit works",
        gateway(condition(ConditionType.CREDENTIAL_UNAVAILABLE, "False", Reason.SECRET_EDITED)),
    ),
    ("credential.available", "jobs are taken in spite of an edit", gateway(EDITED)),
    ("gateway.deleting", "it is deleted for 10 min", gateway(DELETING, deleted_at=ago(600))),
    ("agent.stable", "it restarted for another reason", agent(restart_count=1, last_reason="Error")),
    ("worker.starting", "Pending for 600 s", worker(phase="Pending", created_at=ago(600))),
    ("worker.starting", "running for a day", worker(created_at=ago(86400))),
    ("worker.admitted", "pods are refused for a minute", refused(60)),
    ("worker.image", "it waits for something else", worker(container={"waiting_reason": "ContainerCreating"})),
    ("worker.stable", "its job failed", worker(phase="Failed", container={"terminated_reason": "Error"})),
    ("api.version", "it is 1.30 of a vendor", server(version="v1.30.1-gke.1", number=(1, 30))),
    ("api.crds-current", "it says no release and has every field", definition(version="")),
    ("network.enforced", "Canal beside Flannel", {"network": Known(NetworkFact(("Canal",), ("Flannel",)))}),
    ("clock.agrees", "30 s apart", {"clock": Known(ClockFact(-30.0, "admin"))}),
]

UNDECIDED: list[tuple[str, str, Outcome, dict[str, Any]]] = [
    ("gateway.ready", "it is new", Outcome.UNKNOWN, gateway(NOT_READY, created_at=ago(30))),
    ("gateway.ready", "its status is older than its spec", Outcome.UNKNOWN, gateway(is_observed=False)),
    ("agent.available", "it is new", Outcome.UNKNOWN, gateway(replace(AGENT_READY, status="False"), created_at=ago(5))),
    *(
        (check_id, situation, Outcome.UNKNOWN, changes)
        for check_id in ("credential.available", "credential.edited")
        for situation, changes in (
            ("nobody has looked", untried(Reason.CREDENTIAL_UNKNOWN)),
            ("GitHub does not answer", untried(Reason.GITHUB_UNREACHABLE)),
            ("nobody has reported", {"gateways": Known((replace(GATEWAY, conditions=()),))}),
        )
    ),
    (
        "credential.edited",
        "what was read does not work either",
        Outcome.SKIPPED,
        gateway(condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED)),
    ),
    ("credential.edited", "the edit concerns no agent", Outcome.SKIPPED, gateway(EDITED, contained=True)),
    ("gateway.proxy", "it is new", Outcome.UNKNOWN, gateway(condition(*NO_PROXY), created_at=ago(5))),
    ("gateway.proxy", "nobody has reported", Outcome.UNKNOWN, {"gateways": Known((replace(GATEWAY, conditions=()),))}),
    (
        "gateway.groups",
        "the agent does not report",
        Outcome.SKIPPED,
        gateway(condition(ConditionType.RUNNER_GROUPS_DEGRADED, "Unknown", Reason.AGC_NOT_READY)),
    ),
    *(
        (check_id, f"the gateway is {state}", Outcome.SKIPPED, gateway(UNSERVED, **changes))
        for check_id in (
            *("gateway.ready", "gateway.proxy", "agent.available"),
            *("credential.available", "credential.edited", "session.open"),
        )
        for state, changes in (("contained", {"contained": True}), ("deleting", {"deleted_at": ago(5)}))
    ),
    ("api.version", "it names no version", Outcome.UNKNOWN, server(number=None)),
    ("api.crds-current", "there is none", Outcome.SKIPPED, definition(exists=False)),
    ("network.enforced", "no plugin is known", Outcome.UNKNOWN, {"network": Known(NetworkFact())}),
    ("policies.enforced", "the mode is not told", Outcome.UNKNOWN, policy(is_mode_unknown=True)),
    ("network.enforced", "it starts", Outcome.UNKNOWN, {"network": Known(NetworkFact(unready=("Cilium has 0",)))}),
    ("network.enforced", "it depends", Outcome.UNKNOWN, {"network": Known(NetworkFact(unsure=("kindnet",)))}),
    ("clock.agrees", "the server does not say", Outcome.UNKNOWN, {"clock": Known(None)}),
    ("manager.pinned", "there is no manager", Outcome.SKIPPED, {"manager": Known(ManagerFact(None, None))}),
    ("session.open", "a session closed a moment ago", Outcome.UNKNOWN, group(silent_seconds=60)),
    (
        "session.open",
        "the agent that counted the sessions is being replaced",
        Outcome.UNKNOWN,
        {"pods": Known((replace(AGENT, phase="Pending", is_ready=False),))},
    ),
    ("session.open", "the group is new", Outcome.UNKNOWN, group(created_at=ago(10))),
    ("session.open", "the group is suspended", Outcome.SKIPPED, group(suspended=True)),
    ("session.open", "the gateway is paused", Outcome.SKIPPED, group(suspended=True) | gateway(paused=True)),
    ("session.open", "it is paused and its last session not closed yet", Outcome.SKIPPED, gateway(paused=True)),
    ("session.open", "there are no groups", Outcome.SKIPPED, {"groups": Known(())}),
    (
        "agent.available",
        "the manager does not serve the gateway",
        Outcome.SKIPPED,
        gateway(condition(ConditionType.READY, "False", Reason.ANOTHER_GATEWAY), replace(AGENT_READY, status="False")),
    ),
]


def named(cases: list[Any]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[0]}: {case[1]}") for case in cases]


def run(check_id: str, changes: dict[str, Any]) -> tuple[Finding, ...]:
    (result,) = judge([CHECKS[check_id]], replace(HEALTHY, **changes))
    return result.findings


@pytest.mark.parametrize(("check_id", "situation", "changes"), named(PASSING))
def test_it_passes_where(check_id: str, situation: str, changes: dict[str, Any]) -> None:
    assert {finding.outcome for finding in run(check_id, changes)} == {Outcome.OK}


@pytest.mark.parametrize(("check_id", "situation", "changes"), named(FAILING))
def test_it_finds_a_problem_where(check_id: str, situation: str, changes: dict[str, Any]) -> None:
    (finding,) = run(check_id, changes)
    assert finding.outcome is Outcome.PROBLEM
    assert finding.summary
    assert finding.next_step


@pytest.mark.parametrize(("check_id", "situation", "outcome", "changes"), named(UNDECIDED))
def test_it_does_not_judge_where(check_id: str, situation: str, outcome: Outcome, changes: dict[str, Any]) -> None:
    (finding,) = run(check_id, changes)
    assert finding.outcome is outcome
    assert finding.summary


def test_every_check_has_a_passing_and_a_failing_case() -> None:
    assert {case[0] for case in PASSING} == set(CHECKS)
    # The API server that does not answer has no facts to be judged from: that is `unknown`, never `problem`.
    assert {case[0] for case in FAILING} == set(CHECKS) - {"api.reachable"}


def test_an_api_server_that_does_not_answer_is_unknown() -> None:
    (finding,) = run("api.reachable", {"served": Missing("the API server gives no answer", "Check it.")})
    assert (finding.outcome, finding.summary, finding.next_step) == (
        Outcome.UNKNOWN,
        "the API server gives no answer",
        "Check it.",
    )


@pytest.mark.parametrize("check", CATALOG, ids=lambda check: check.id)
def test_it_reads_only_the_facts_that_it_names(check: Check) -> None:
    sources: dict[Need, str] = {
        Need.SERVED: "served",
        Need.MANAGER: "manager",
        Need.GATEWAYS: "gateways",
        Need.GROUPS: "groups",
        Need.PODS: "pods",
        Need.SERVER: "server",
        Need.CLOCK: "clock",
        Need.DEFINITIONS: "definitions",
        Need.RIGHTS: "rights",
        Need.POLICIES: "policies",
        Need.POD_SECURITY: "pod_security",
        Need.NETWORK: "network",
        Need.METRICS: "metrics",
        Need.PLACE: "place",
    }
    assert set(sources) == set(Need)
    unread = {name: Missing("not asked for") for need, name in sources.items() if need not in check.needs}
    (result,) = judge([check], replace(HEALTHY, **unread))  # type: ignore[arg-type]
    assert result.outcome is Outcome.OK
    for need in check.needs:
        (blind,) = judge([check], replace(HEALTHY, **{sources[need]: Missing("gone")}))  # type: ignore[arg-type]
        assert blind.outcome is Outcome.UNKNOWN, need


def test_ids_are_unique_and_are_file_names() -> None:
    assert len(CHECKS) == len(CATALOG)
    assert all(set(check_id) <= set("abcdefghijklmnopqrstuvwxyz.-") for check_id in CHECKS)


@pytest.mark.parametrize("check", CATALOG, ids=lambda check: check.id)
def test_it_has_a_page_with_every_section_that_begins_its_diagnosis_with_gw(check: Check) -> None:
    text = (PAGES / f"{check.id}.md").read_text()
    data = front_matter(text)
    assert (data["check"], data["severity"]) == (check.id, check.severity.value)
    assert data["symptoms"]
    assert [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")] == SECTIONS
    diagnosis = text.split("## Diagnosis")[1].split("## Mitigation")[0]
    commands = [line for line in diagnosis.splitlines() if line.startswith(("gw ", "kubectl "))]
    assert commands[0].startswith("gw check " if check not in HEALTH else "gw ")
    assert any(command.startswith("kubectl ") for command in commands)


def verifications(check_id: str) -> Iterator[list[str]]:
    """The words of the commands that, as its page says, exit with 0 when the problem is gone."""
    text = (PAGES / f"{check_id}.md").read_text().split("## Verification")[1]
    yield from (shlex.split(command) for command in re.findall(r"`(gw [^`]+)` exits with 0", text))


VERIFIED = [check.id for check in CATALOG if any(verifications(check.id))]


def verdict(words: list[str], facts: Facts) -> ExitCode:
    """What such a command exits with, of its options those that decide it."""
    options = list(pairwise(words))
    catalog = HEALTH if words[1] == "health" else PREREQUISITES if "--pre" in words else INSTALLATION
    checks = select(catalog, [value for option, value in options if option == "--check"])
    fail_on = next((Severity(value) for option, value in options if option == "--fail-on"), Severity.PAGE)
    return HealthReport(None, START, fail_on, judge(checks, facts)).exit_code


@pytest.mark.parametrize("check_id", VERIFIED)
def test_a_pages_verification_passes_when_all_is_well(check_id: str) -> None:
    assert {verdict(words, HEALTHY) for words in verifications(check_id)} == {ExitCode.OK}


@pytest.mark.parametrize(("check_id", "situation", "changes"), named([case for case in FAILING if case[0] in VERIFIED]))
def test_a_pages_verification_fails_where(check_id: str, situation: str, changes: dict[str, Any]) -> None:
    for words in verifications(check_id):
        assert verdict(words, replace(HEALTHY, **changes)) is ExitCode.PROBLEM, shlex.join(words)


def test_all_pages_but_those_of_an_end_or_an_intention_are_verified_by_gw() -> None:
    assert set(CHECKS) - set(VERIFIED) == {"gateway.deleting", "gateway.paused"}


@pytest.mark.parametrize("selection", [HEALTH, PREREQUISITES, INSTALLATION], ids=["health", "check --pre", "check"])
def test_every_selection_is_of_the_catalogue(selection: tuple[Check, ...]) -> None:
    assert set(selection) <= set(CATALOG)
    assert len({check.id for check in selection}) == len(selection)


def test_every_check_belongs_to_a_selection() -> None:
    assert {*HEALTH, *PREREQUISITES, *INSTALLATION} == set(CATALOG)


def test_no_page_is_left_of_a_check_that_is_gone() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(CHECKS)


@pytest.mark.parametrize("check_id", ["manager.running", "manager.leading"])
def test_a_manager_that_is_scaled_to_0_is_scaled_up_since_a_restart_would_change_nothing(check_id: str) -> None:
    (finding,) = run(check_id, SCALED_TO_0)
    assert finding.next_step == "kubectl scale deploy/gmc-controller-manager -n gmc-system --replicas=2"


def test_a_lease_that_was_given_back_tells_since_when() -> None:
    (finding,) = run("manager.leading", SCALED_TO_0)
    assert finding.since == ago(90)


def test_a_pause_is_named_before_the_suspension_that_it_brings_about() -> None:
    (finding,) = run("session.open", group(suspended=True) | gateway(paused=True))
    assert finding.summary == "its gateway is paused by intention"


def test_silence_that_the_credential_explains_leads_to_the_credential() -> None:
    rejected = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED)
    (finding,) = run("session.open", group(conditions=(rejected,)))
    assert finding.next_step == "gw health team-a --check credential.available"


def test_words_that_ready_has_said_are_not_said_again() -> None:
    rejected = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED)
    (finding,) = run("gateway.ready", gateway(condition(ConditionType.READY, "False", Reason.KEY_REJECTED), rejected))
    assert finding.evidence == ("CredentialUnavailable=True",)
