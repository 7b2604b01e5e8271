"""Checks of versions: does every tenant run what the manager gives out, does GitHub serve the runners' version."""

from collections import defaultdict
from collections.abc import Iterator

from actions_gateway.api.conditions import ConditionType
from gw.checks.catalog.causes import Reports
from gw.checks.catalog.gateway import told
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import seconds_since
from gw.sources.definitions import OWN_VERSION
from gw.sources.facts import Facts, Need
from gw.sources.platform import WorkloadFact
from gw_alerts.thresholds import RELEASE_BEHIND_SECONDS, RUNNER_VERSION_TOO_OLD, Severity


def _agree(facts: Facts) -> Iterator[Finding]:
    deployment = facts.manager.value.deployment
    started = max((pod.created_at for pod in facts.manager_pods.value if pod.created_at), default=None)
    workloads: dict[str, list[WorkloadFact]] = defaultdict(list)
    for workload in facts.workloads.value:
        workloads[workload.namespace].append(workload)
    if deployment is None or not deployment.images:
        yield skipped("", "there is no manager whose images could be compared")
        return
    rolling_seconds = seconds_since(started, facts.now)
    is_late = rolling_seconds is None or rolling_seconds > RELEASE_BEHIND_SECONDS.value
    for namespace, own in workloads.items():
        behind = [each for each in own if each.images and not set(each.images) & set(deployment.images)]
        if not behind:
            yield ok(namespace, "agent and proxies run what the manager gives out")
            continue
        yield problem(
            namespace,
            f"{' and '.join(each.name for each in behind)} "
            + ("runs not what the manager gives out" if is_late else "is being brought to the manager's release"),
            since=started if is_late else None,
            evidence=(
                *(f"{each.name} has {', '.join(each.images)}" for each in behind),
                f"the manager gives out {', '.join(sorted(set(deployment.images)))}; this gw is {OWN_VERSION}",
            ),
            next_step=f"kubectl get deploy -n {namespace} -o wide",
            severity=RELEASE_BEHIND_SECONDS.severity if is_late else Severity.INFO,
        )


def _runner_version(facts: Facts) -> Iterator[Finding]:
    reports = Reports(facts)
    for group in facts.groups.value:
        subject, entry = f"{group.namespace}/{group.name}", group.condition(ConditionType.RUNNER_VERSION_TOO_OLD)
        has_agent = reports.has_agent(group.namespace)
        gateway = reports.gateway_of(group)
        if gateway is not None and gateway.wants_no_agent:
            yield skipped(subject, f"no agent is wanted: its gateway is {gateway.intention}")
        elif not has_agent:
            yield unknown(subject, "no agent is ready, so this may have changed; see agent.available")
        elif not group.conditions:
            yield unknown(subject, "no agent has reported on it yet")
        elif entry is None or not entry.is_true:
            yield ok(subject, "GitHub has not refused its runners' version")
        else:
            yield problem(
                subject,
                f"GitHub gives its runners no jobs: {told(entry)}",
                since=entry.since,
                next_step="gw install --dry-run --release FILE",
            )


CHECKS: tuple[Check, ...] = (
    Check(
        "runner.version",
        "GitHub serves every group's runner version",
        RUNNER_VERSION_TOO_OLD.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.GROUPS, Need.PODS}),
        _runner_version,
        category=Category.VERSIONS,
        looks_at="the condition RunnerVersionTooOld of every RunnerGroup",
    ),
    Check(
        "versions.agree",
        "Agents and proxies are of the manager's release",
        RELEASE_BEHIND_SECONDS.severity,
        Scope.PLATFORM,
        frozenset({Need.MANAGER, Need.MANAGER_PODS, Need.WORKLOADS}),
        _agree,
        category=Category.VERSIONS,
        looks_at="the images of the tenants' Deployments beside those that the manager's Deployment names",
    ),
)
