"""Tenants and runner groups as text and as documents."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from actions_gateway.api.conditions import ConditionType, Reason
from gw.ops.tenants import GroupList, TenantDetail, TenantList, TenantSummary
from gw.output.layout import Cell, age, columns, stamp, styled
from gw.output.view import View
from gw.sources.gateways import ConditionFact, CredentialFact, GatewayFact, GroupFact
from gw.sources.pods import PodFact

NO_TENANTS = "No tenants. Make one with `gw tenant add NAME …`."
NO_GROUPS = "No runner groups."


def tenant_list_view(result: TenantList) -> View:
    """All tenants, one per line."""
    return View(
        kind="TenantList",
        data={"at": stamp(result.at), "items": [_summary_data(tenant) for tenant in result.tenants]},
        lines=lambda: _tenant_rows(result) if result.tenants else [Text(NO_TENANTS)],
        short=[tenant.gateway.namespace for tenant in result.tenants],
    )


def tenant_detail_view(result: TenantDetail) -> View:
    """One tenant: conditions, groups, workers, credential."""
    gateway = result.summary.gateway
    return View(
        kind="Tenant",
        data={
            "at": stamp(result.at),
            **_summary_data(result.summary),
            "conditions": [_condition_data(entry) for entry in gateway.conditions],
            "runner_groups": [_group_data(group) for group in result.summary.groups],
            "workers": [_pod_data(pod) for pod in result.workers],
            "agents": [_pod_data(pod) for pod in result.agents],
            "credential": _credential_data(gateway),
            "other_gateways": [other.name for other in result.others],
        },
        lines=lambda: list(_detail_lines(result)),
        short=[f"{gateway.namespace} {'Ready' if gateway.is_ready else 'NotReady'}"],
    )


def group_list_view(result: GroupList) -> View:
    """Runner groups, one per line."""
    return View(
        kind="RunnerGroupList",
        data={
            "at": stamp(result.at),
            "tenant": result.namespace,
            "items": [_group_data(group) for group in result.groups],
        },
        lines=lambda: _group_rows(result.groups, result.at, with_tenant=True) if result.groups else [Text(NO_GROUPS)],
        short=[f"{group.namespace}/{group.name}" for group in result.groups],
    )


# -- text


def _tenant_rows(result: TenantList) -> list[Text]:
    rows: list[list[Cell]] = []
    for tenant in result.tenants:
        gateway, problem = tenant.gateway, tenant.last_problem
        rows.append(
            [
                gateway.namespace,
                gateway.name,
                _ready_cell(gateway),
                _proxies_cell(gateway),
                str(gateway.active_sessions),
                str(gateway.active_jobs),
                str(len(tenant.groups)),
                age(gateway.created_at, result.at),
                "-" if problem is None else f"{problem.type}/{problem.reason} ({age(problem.since, result.at)})",
            ]
        )
    header = ("TENANT", "GATEWAY", "READY", "PROXIES", "SESSIONS", "JOBS", "GROUPS", "AGE", "LAST PROBLEM")
    return columns(rows, header=header)


def _detail_lines(result: TenantDetail) -> Iterator[Text]:
    gateway = result.summary.gateway
    yield from columns(
        [
            ["Tenant", gateway.namespace],
            ["Gateway", gateway.name],
            ["GitHub", gateway.github_url],
            ["Ready", _ready_cell(gateway)],
            ["Proxies", _proxies_cell(gateway)],
            ["Sessions", str(gateway.active_sessions)],
            ["Jobs", str(gateway.active_jobs)],
        ]
    )
    yield from _block("Conditions", _condition_rows(gateway.conditions, result.at))
    yield from _block("Runner groups", _group_rows(result.summary.groups, result.at, with_tenant=False))
    yield from _block("Agent", _pod_rows(result.agents, result.at))
    yield from _block("Workers", _worker_lines(result))
    yield from _block("Credential", _credential_rows(gateway, result.at))
    for other in result.others:
        yield Text()
        yield Text(f"The gateway {other.name} is not served: a namespace has one gateway, and {gateway.name} is older.")


def _block(title: str, lines: Sequence[Text]) -> Iterator[Text]:
    yield Text()
    yield styled(title, "head")
    for line in lines or [Text("none")]:
        yield Text("  ") + line


def _condition_rows(conditions: Sequence[ConditionFact], now: datetime) -> list[Text]:
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


def _group_rows(groups: Sequence[GroupFact], now: datetime, *, with_tenant: bool) -> list[Text]:
    rows: list[list[Cell]] = [
        [
            *([group.namespace] if with_tenant else []),
            group.name,
            ",".join(group.runner_labels),
            _sessions_cell(group),
            f"{group.active_jobs}/{group.worker_ceiling}",
            str(group.pending_jobs),
            age(group.created_at, now),
        ]
        for group in groups
    ]
    header = ("NAME", "LABELS", "SESSIONS", "JOBS", "WAITING", "AGE")
    return columns(rows, header=("TENANT", *header) if with_tenant else header) if rows else []


def _sessions_cell(group: GroupFact) -> Text:
    count = f"{group.active_sessions}/{group.max_listeners}"
    if group.suspended:
        return styled(f"{count} (suspended)", "dim")
    ready = group.condition(ConditionType.READY)
    # Ready without an open session: one has claimed a job, and its successor is on its way.
    is_between = ready is not None and ready.is_true
    return Text(count) if group.active_sessions or is_between else styled(f"{count} (none open)", "bad")


def _pod_rows(pods: Sequence[PodFact], now: datetime) -> list[Text]:
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


def _worker_lines(result: TenantDetail) -> list[Text]:
    """A row per worker that has not ended; the ended ones, which stay for a while, as a count."""
    ended = Counter(pod.phase for pod in result.workers if pod.phase in _ENDED)
    lines = _pod_rows([pod for pod in result.workers if pod.phase not in _ENDED], result.at)
    counts = ", ".join(f"{count} {phase}" for phase, count in sorted(ended.items()))
    return [*lines, Text(f"ended lately: {counts}")] if ended else lines


_ENDED = ("Succeeded", "Failed")


def _credential_rows(gateway: GatewayFact, now: datetime) -> list[Text]:
    credential = gateway.credential
    if credential is None:
        return columns([["Secret", gateway.secret_name], ["Seen by the agent", "not yet"]])
    return columns(
        [
            ["Secret", gateway.secret_name],
            ["App", credential.app_id or "-"],
            ["Installation", credential.installation_id or "-"],
            ["Key (SHA-256)", credential.key_fingerprint or "-"],
            ["Token", _token_words(credential, now)],
            [
                "Permissions",
                ", ".join(f"{name}:{level}" for name, level in sorted(credential.permissions.items())) or "-",
            ],
        ]
    )


def _token_words(credential: CredentialFact, now: datetime) -> str:
    expires_at = credential.token_expires_at
    if expires_at is None:
        return "none"
    return f"expired {age(expires_at, now)} ago" if expires_at <= now else f"expires in {age(now, expires_at)}"


def _ready_cell(gateway: GatewayFact) -> Text:
    ready = styled("True", "ok") if gateway.is_ready else styled("False", "bad")
    return ready + Text(f" ({gateway.intention})") if gateway.intention else ready


def _proxies_cell(gateway: GatewayFact) -> Text:
    """How many are ready, and that it is fewer than wanted where the manager says so."""
    available = gateway.condition(ConditionType.PROXY_AVAILABLE)
    count = str(gateway.proxy_ready_replicas)
    if available is None or available.reason == Reason.PROXY_READY:
        return Text(count)
    if available.is_true:
        return styled(f"{count} (reduced)", "warn")
    return styled(f"{count} (not available)", "bad")


# -- documents


def _summary_data(tenant: TenantSummary) -> dict[str, Any]:
    gateway, problem = tenant.gateway, tenant.last_problem
    return {
        "tenant": gateway.namespace,
        "gateway": gateway.name,
        "github_url": gateway.github_url,
        "ready": gateway.is_ready,
        "paused": gateway.paused,
        "contained": gateway.contained,
        "deleting": gateway.deleted_at is not None,
        "proxy_ready_replicas": gateway.proxy_ready_replicas,
        "active_sessions": gateway.active_sessions,
        "active_jobs": gateway.active_jobs,
        "runner_group_count": len(tenant.groups),
        "created_at": stamp(gateway.created_at),
        "last_problem": None if problem is None else _condition_data(problem),
    }


def _group_data(group: GroupFact) -> dict[str, Any]:
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
        "conditions": [_condition_data(entry) for entry in group.conditions],
    }


def _condition_data(entry: ConditionFact) -> dict[str, Any]:
    return {
        "type": entry.type,
        "status": entry.status,
        "reason": entry.reason,
        "message": entry.message,
        "since": stamp(entry.since),
        "is_problem": entry.is_problem,
    }


def _pod_data(pod: PodFact) -> dict[str, Any]:
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


def _credential_data(gateway: GatewayFact) -> dict[str, Any]:
    credential = gateway.credential
    data: dict[str, Any] = {"secret": gateway.secret_name}
    if credential is not None:
        data |= {
            "app_id": credential.app_id,
            "installation_id": credential.installation_id,
            "key_fingerprint": credential.key_fingerprint,
            "token_expires_at": stamp(credential.token_expires_at),
            "permissions": dict(credential.permissions),
        }
    return data
