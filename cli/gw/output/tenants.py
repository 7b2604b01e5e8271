"""Tenants as text and as documents."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from actions_gateway.api.conditions import ConditionType, Reason
from gw.ops.tenancy.limits import KeyShare
from gw.ops.tenants import TenantDetail, TenantList, TenantSummary
from gw.output.credentials import permission_words, token_words
from gw.output.layout import Cell, age, columns, stamp, styled
from gw.output.runner_groups import (
    block,
    condition_data,
    condition_rows,
    group_data,
    group_rows,
    pod_data,
    pod_rows,
    wait_rows,
    worker_lines,
)
from gw.output.view import View
from gw.sources.facts import Missing
from gw.sources.gateways import GatewayFact

NO_TENANTS = "No tenants. Make one with `gw tenant add NAME …`."
_NEAR_PERCENT = 80


def tenant_list_view(result: TenantList) -> View:
    """All tenants, one per line."""
    return View(
        kind="TenantList",
        data={
            "at": stamp(result.at),
            "items": [_summary_data(tenant) for tenant in result.tenants],
            "unknown": [missing.reason for missing in result.unseen],
        },
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
            "conditions": [condition_data(entry) for entry in gateway.conditions],
            "runner_groups": [group_data(group) for group in result.summary.groups],
            "workers": [pod_data(pod) for pod in result.workers],
            "agents": [pod_data(pod) for pod in result.agents],
            "quotas": None
            if result.summary.limits is None
            else [_share_data(share) for share in result.summary.limits],
            "credential": _credential_data(gateway),
            "other_gateways": [other.name for other in result.others],
            "unknown": [missing.reason for missing in result.unseen],
        },
        lines=lambda: list(_detail_lines(result)),
        short=[f"{gateway.namespace} {'Ready' if gateway.is_ready else 'NotReady'}"],
    )


def unseen_lines(unseen: Sequence[Missing]) -> list[Text]:
    """What could not be read, and what to do about it."""
    lines = []
    for missing in unseen:
        lines.append(Text.assemble(styled("Unknown:", "warn"), f" {missing.reason}."))
        if missing.next_step:
            lines.append(Text.assemble(styled("Next:  ", "head"), missing.next_step))
    return lines


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
                str(tenant.waiting_jobs),
                str(len(tenant.groups)),
                _limit_cell(tenant.limits),
                age(gateway.created_at, result.at),
                "-" if problem is None else f"{problem.type}/{problem.reason} ({age(problem.since, result.at)})",
            ]
        )
    header = ("TENANT", "GATEWAY", "READY", "PROXIES", "SESSIONS", "JOBS", "WAITING", "GROUPS", "QUOTA", "AGE")
    return columns(rows, header=(*header, "LAST PROBLEM"))


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
            ["Waiting", str(result.summary.waiting_jobs)],
            ["Intention", _intention_cell(result.summary)],
        ]
    )
    yield from block("Conditions", condition_rows(gateway.conditions, result.at))
    yield from block("Runner groups", group_rows(result.summary.groups, result.at, with_tenant=False))
    if waits := wait_rows(result.summary.groups, result.at):
        yield from block("Waiting jobs", waits)
    yield from block("Agent", pod_rows(result.agents, result.at))
    yield from block("Workers", worker_lines(result.workers, result.at))
    yield from block("Quota", _limit_rows(result.summary.limits))
    yield from block("Credential", _credential_rows(gateway, result.at))
    for other in result.others:
        yield Text()
        yield Text(f"The gateway {other.name} is not served: a namespace has one gateway, and {gateway.name} is older.")


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
            ["Token", token_words(credential, now)],
            ["Permissions", permission_words(credential.permissions) or "-"],
        ]
    )


def _ready_cell(gateway: GatewayFact) -> Text:
    ready = styled("True", "ok") if gateway.is_ready else styled("False", "bad")
    return ready + Text(f" ({gateway.intention})") if gateway.intention else ready


def _intention_cell(tenant: TenantSummary) -> Text:
    """What somebody asked for, so that it takes no jobs, or fewer."""
    gateway, suspended = tenant.gateway, [group.name for group in tenant.suspended_groups]
    states = ("deleting", gateway.deleted_at is not None), ("contained", gateway.contained), ("paused", gateway.paused)
    words = [word for word, holds in states if holds]
    if suspended and not gateway.paused:
        words.append(f"suspended: {', '.join(suspended)}")
    return styled("; ".join(words), "warn") if words else Text("to take jobs")


def _limit_cell(limits: Sequence[KeyShare] | None) -> Cell:
    """The key that is nearest to its limit."""
    if limits is None:
        return styled("unknown", "warn")
    return _share_cell(limits[0], named=True) if limits else "-"


def _share_cell(share: KeyShare, *, named: bool) -> Cell:
    key = f"{share.key} " if named else ""
    if share.percent is None:
        return f"{key}not counted yet"
    style = "bad" if share.percent >= 100 else "warn" if share.percent >= _NEAR_PERCENT else "ok"
    return Text.assemble(f"{key}{share.used}/{share.hard} (", styled(f"{share.percent}%", style), ")")


def _limit_rows(limits: Sequence[KeyShare] | None) -> list[Text]:
    if limits is None:
        return [styled("unknown", "warn")]
    rows: list[list[Cell]] = [[share.quota, share.key, _share_cell(share, named=False)] for share in limits]
    return columns(rows, header=("QUOTA", "KEY", "USED")) if rows else []


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
        "waiting_jobs": tenant.waiting_jobs,
        "suspended_groups": [group.name for group in tenant.suspended_groups],
        "runner_group_count": len(tenant.groups),
        "nearest_limit": _share_data(tenant.limits[0]) if tenant.limits else None,
        "quotas_known": tenant.limits is not None,
        "created_at": stamp(gateway.created_at),
        "last_problem": None if problem is None else condition_data(problem),
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


def _share_data(share: KeyShare) -> dict[str, Any]:
    return {
        "quota": share.quota,
        "key": share.key,
        "used": share.used,
        "hard": share.hard,
        "used_percent": share.percent,
    }
