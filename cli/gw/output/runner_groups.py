"""Runner groups as text and as documents, with what a tenant's page shares with them: conditions, pods, waits."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from actions_gateway.api.conditions import ConditionType
from gw.ops.tenants import GroupDetail, GroupList
from gw.output.layout import Cell, age, columns, stamp, styled
from gw.output.view import View
from gw.sources.gateways import ConditionFact, GroupFact, WaitFact
from gw.sources.pods import PodFact

NO_GROUPS = "No runner groups."


def group_list_view(result: GroupList) -> View:
    """Runner groups, one per line."""
    return View(
        kind="RunnerGroupList",
        data={
            "at": stamp(result.at),
            "tenant": result.namespace,
            "items": [group_data(group) for group in result.groups],
        },
        lines=lambda: group_rows(result.groups, result.at, with_tenant=True) if result.groups else [Text(NO_GROUPS)],
        short=[f"{group.namespace}/{group.name}" for group in result.groups],
    )


def group_detail_view(result: GroupDetail) -> View:
    """One runner group: bounds, jobs and what they wait for, workers, conditions."""
    group = result.group
    return View(
        kind="RunnerGroup",
        data={
            "at": stamp(result.at),
            **group_data(group),
            "tiers": [{"priority_class": name, "threshold": threshold} for threshold, name in group.tiers],
            "max_eviction_retries": group.max_eviction_retries,
            "registrations": group.registrations,
            "observed": group.is_observed,
            "waiting": [_wait_data(wait) for wait in group.waiting],
            "workers": [pod_data(pod) for pod in result.workers],
        },
        lines=lambda: list(_detail_lines(result)),
        short=[f"{group.namespace}/{group.name} {group.active_sessions}/{group.max_listeners} {group.active_jobs}"],
    )


def _detail_lines(result: GroupDetail) -> Iterator[Text]:
    group = result.group
    tiers = ", ".join(f"{name} up to {threshold}" for threshold, name in group.tiers)
    rows: list[list[Cell]] = [
        ["Runner group", group.name],
        ["Tenant", group.namespace],
        ["Labels", ", ".join(group.runner_labels)],
        ["Sessions", sessions_cell(group)],
        ["Jobs", f"{group.active_jobs} of at most {group.worker_ceiling}"],
        ["Waiting", str(group.pending_jobs)],
        ["Tiers", tiers or "none"],
        ["Spec", "taken by the agent" if group.is_observed else styled("not taken by the agent yet", "warn")],
    ]
    if result.gateway.intention:
        rows.append(["Gateway", styled(result.gateway.intention, "warn")])
    yield from columns(rows)
    if group.waiting:
        yield from block("Waiting jobs", wait_rows([group], result.at))
    yield from block("Workers", worker_lines(result.workers, result.at))
    yield from block("Conditions", condition_rows(group.conditions, result.at))


# -- parts of a tenant's page


def block(title: str, lines: Sequence[Text]) -> Iterator[Text]:
    """A headed part of a page; says so when there is nothing in it."""
    yield Text()
    yield styled(title, "head")
    for line in lines or [Text("none")]:
        yield Text("  ") + line


def group_rows(groups: Sequence[GroupFact], now: datetime, *, with_tenant: bool) -> list[Text]:
    """One line per runner group below a header."""
    rows: list[list[Cell]] = [
        [
            *([group.namespace] if with_tenant else []),
            group.name,
            ",".join(group.runner_labels),
            sessions_cell(group),
            f"{group.active_jobs}/{group.worker_ceiling}",
            str(group.pending_jobs),
            age(group.created_at, now),
        ]
        for group in groups
    ]
    header = ("NAME", "LABELS", "SESSIONS", "JOBS", "WAITING", "AGE")
    return columns(rows, header=("TENANT", *header) if with_tenant else header) if rows else []


def sessions_cell(group: GroupFact) -> Text:
    """Open sessions of how many at most, and why there is none."""
    count = f"{group.active_sessions}/{group.max_listeners}"
    if group.suspended:
        return styled(f"{count} (suspended)", "dim")
    ready = group.condition(ConditionType.READY)
    # Ready without an open session: one has claimed a job, and its successor is on its way.
    is_between = ready is not None and ready.is_true
    return Text(count) if group.active_sessions or is_between else styled(f"{count} (none open)", "bad")


def pod_rows(pods: Sequence[PodFact], now: datetime) -> list[Text]:
    """One line per pod below a header."""
    rows: list[list[Cell]] = [
        [
            pod.name,
            pod.phase,
            str(sum(container.restart_count for container in pod.containers)),
            age(pod.created_at, now),
            pod.job_name or "-",
        ]
        for pod in pods
    ]
    return columns(rows, header=("POD", "PHASE", "RESTARTS", "AGE", "JOB")) if rows else []


def worker_lines(workers: Sequence[PodFact], now: datetime) -> list[Text]:
    """A row per worker that has not ended; the ended ones, which stay for a while, as a count."""
    ended = Counter(pod.phase for pod in workers if pod.phase in _ENDED)
    lines = pod_rows([pod for pod in workers if pod.phase not in _ENDED], now)
    counts = ", ".join(f"{count} {phase}" for phase, count in sorted(ended.items()))
    return [*lines, Text(f"ended lately: {counts}")] if ended else lines


_ENDED = ("Succeeded", "Failed")


def condition_rows(conditions: Sequence[ConditionFact], now: datetime) -> list[Text]:
    """One line per condition below a header."""
    rows: list[list[Cell]] = [
        [
            entry.type,
            styled(f"{entry.status} (problem)", "bad") if entry.is_problem else styled(entry.status, "ok"),
            entry.reason,
            age(entry.since, now),
            " ".join(entry.message.split()),
        ]
        for entry in conditions
    ]
    return columns(rows, header=("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE")) if rows else []


def wait_rows(groups: Sequence[GroupFact], now: datetime) -> list[Text]:
    """What jobs wait for, a line for each reason of each group."""
    rows: list[list[Cell]] = [
        [group.name, str(wait.jobs), wait.reason, age(wait.since, now), wait.message]
        for group in groups
        for wait in group.waiting
    ]
    return columns(rows, header=("GROUP", "JOBS", "REASON", "SINCE", "MESSAGE")) if rows else []


# -- documents


def group_data(group: GroupFact) -> dict[str, Any]:
    """A runner group in a document."""
    return {
        "tenant": group.namespace,
        "name": group.name,
        "gateway": group.gateway,
        "labels": list(group.runner_labels),
        "max_listeners": group.max_listeners,
        "worker_ceiling": group.worker_ceiling,
        "suspended": group.suspended,
        "active_sessions": group.active_sessions,
        "active_jobs": group.active_jobs,
        "pending_jobs": group.pending_jobs,
        "created_at": stamp(group.created_at),
        "conditions": [condition_data(entry) for entry in group.conditions],
    }


def condition_data(entry: ConditionFact) -> dict[str, Any]:
    """A condition in a document."""
    return {
        "type": entry.type,
        "status": entry.status,
        "reason": entry.reason,
        "message": entry.message,
        "since": stamp(entry.since),
        "is_problem": entry.is_problem,
    }


def pod_data(pod: PodFact) -> dict[str, Any]:
    """A pod in a document."""
    return {
        "name": pod.name,
        "phase": pod.phase,
        "runner_group": pod.group or None,
        "job": pod.job_name or None,
        "repository": pod.repository or None,
        "run_id": pod.run_id or None,
        "restarts": sum(container.restart_count for container in pod.containers),
        "created_at": stamp(pod.created_at),
    }


def _wait_data(wait: WaitFact) -> dict[str, Any]:
    return {"reason": wait.reason, "jobs": wait.jobs, "since": stamp(wait.since), "message": wait.message}
