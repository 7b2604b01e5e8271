"""Quotas as text and as documents: how they stand, and what came of an adjustment."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.quota.adjust import AdjustedQuota
from gw.ops.quota.usage import GroupRoom, KeyUsage, QuotaReport, QuotaUsage
from gw.output.changes import carried_view, dry_run_sentence
from gw.output.layout import Cell, columns, stamp, styled
from gw.output.view import View
from gw.sources.quotas import written

_SHOWN_SHARES = 4


def quota_report_view(report: QuotaReport) -> View:
    """Every quota by key, and what is left to each group."""
    return View(
        kind="QuotaReport",
        data={
            "at": stamp(report.at),
            "tenant": report.namespace,
            "quotas": [_usage_data(usage) for usage in report.quotas],
            "runner_groups": [_room_data(room) for room in report.groups],
        },
        lines=lambda: list(_report_lines(report)),
        short=[
            *(
                f"{usage.fact.name} {key.key} {key.used or '-'}/{key.hard}"
                for usage in report.quotas
                for key in usage.keys
            ),
            *(f"{room.group.name} {'unknown' if room.problem else room.more}" for room in report.groups),
        ],
    )


def adjusted_quota_view(adjusted: AdjustedQuota) -> View:
    """One line for people and what the next workers say; everything for programs."""
    carried = adjusted.carried
    return carried_view(
        "AdjustedQuota",
        carried,
        lambda: list(_adjusted_lines(adjusted)),
        short=[f"{name} {key}={amount}" for name, amounts in adjusted.hard.items() for key, amount in amounts.items()],
        tenant=carried.plan.subject,
        hard={name: dict(amounts) for name, amounts in adjusted.hard.items()},
        stands=adjusted.stands,
        runner_groups=[_room_data(room) for room in adjusted.rooms],
        next_workers=[
            {"runner_group": proof.group, "admitted": proof.is_admitted, "refusal": proof.refusal or None}
            for proof in adjusted.proofs
            if not proof.unproven
        ],
        problems=[finding.summary for finding in adjusted.problems],
    )


# -- text


def _report_lines(report: QuotaReport) -> Iterator[Text]:
    yield from columns([["Tenant", report.namespace]])
    if not report.quotas:
        yield Text()
        yield Text("No ResourceQuota bounds it; its groups' ceilings do.")
    for usage in report.quotas:
        yield Text()
        yield styled(f"Quota {usage.fact.name}{_about(usage)}", "head")
        rows = [_key_row(key, usage, report.groups) for key in usage.keys]
        yield from columns(rows, header=("KEY", "USED", "HARD", "USED%", "AT CEILINGS"), indent="  ")
        yield from [] if usage.fact.enforced else [Text("  The quota controller has not counted it yet.")]
    yield Text()
    yield styled("Runner groups", "head")
    rows = [_room_row(room) for room in report.groups]
    header = ("NAME", "JOBS", "MORE", "BINDS")
    yield from columns(rows, header=header, indent="  ") if rows else [Text("  none")]


def _about(usage: QuotaUsage) -> str:
    words = [f"kept by {usage.owner}"] if usage.owner else []
    words += [f"counts only {', '.join(usage.fact.scopes)}"] if usage.fact.scopes else []
    return f" ({'; '.join(words)})" if words else ""


def _key_row(key: KeyUsage, usage: QuotaUsage, rooms: Sequence[GroupRoom]) -> list[Cell]:
    used = key.used_percent
    share: Cell = "-" if used is None else styled(f"{used}%", "bad" if used >= 100 else "warn" if used >= 80 else "ok")
    return [key.key, key.used or "-", key.hard, share, _reserved_words(key, usage, rooms)]


def _reserved_words(key: KeyUsage, usage: QuotaUsage, rooms: Sequence[GroupRoom]) -> str:
    """What the ceilings take, and how much of it each group's."""
    if not key.reserved:
        return "-"
    amounts = {room.group.name: room.reserved.get(usage.fact.name, {}).get(key.key) for room in rooms}
    shares = [f"{group} {written(key.key, amount)}" for group, amount in amounts.items() if amount]
    more = len(shares) - _SHOWN_SHARES
    listed = ", ".join(shares[:_SHOWN_SHARES]) + (f" and {counted(more, 'group')} more" if more > 0 else "")
    percent = "" if key.reserved_percent is None else f" ({key.reserved_percent}%)"
    return f"{written(key.key, key.reserved)}{percent}: {listed}"


def _room_row(room: GroupRoom) -> list[Cell]:
    group = room.group
    jobs = f"{group.active_jobs}/{group.worker_ceiling}"
    if room.problem:
        return [group.name, jobs, styled("unknown", "warn"), room.problem]
    more: Cell = str(room.more) if room.more or not room.binding else styled("0 (full)", "warn")
    return [group.name, jobs, more, room.binding.words if room.binding else "its own ceiling"]


def _adjusted_lines(adjusted: AdjustedQuota) -> Iterator[Text]:
    carried = adjusted.carried
    if not adjusted.stands:
        yield Text(dry_run_sentence(carried))
        return
    state = "has" if carried.is_written else "had already"
    for name, amounts in adjusted.hard.items():
        words = ", ".join(f"{key}={amount}" for key, amount in amounts.items())
        yield Text(f"Quota {name} of {carried.plan.subject} {state} {words}.")
    if not adjusted.proofs:
        yield Text("No runner group's worker is counted in it.")
    for proof in adjusted.proofs:
        if proof.is_admitted:
            yield Text(f"The next worker of {proof.group} is admitted.")
        elif proof.refusal:
            yield Text(f"The next worker of {proof.group} is not admitted: {proof.refusal}.")
    for finding in adjusted.problems:
        yield Text.assemble(styled("Still:", "warn"), f" {finding.subject}: {finding.summary}.")


# -- documents


def _usage_data(usage: QuotaUsage) -> dict[str, Any]:
    return {
        "name": usage.fact.name,
        "kept_by": usage.owner,
        "scopes": list(usage.fact.scopes),
        "counted": bool(usage.fact.enforced),
        "keys": [
            {
                "key": key.key,
                "used": key.used,
                "hard": key.hard,
                "wanted": usage.fact.wanted.get(key.key),
                "used_percent": key.used_percent,
                "at_ceilings": written(key.key, key.reserved),
                "at_ceilings_percent": key.reserved_percent,
            }
            for key in usage.keys
        ],
    }


def _room_data(room: GroupRoom) -> dict[str, Any]:
    binding = room.binding
    return {
        "name": room.group.name,
        "active_jobs": room.group.active_jobs,
        "worker_ceiling": room.group.worker_ceiling,
        "more_jobs": None if room.problem else room.more,
        "binding": None
        if binding is None
        else {"quota": binding.quota.name, "key": binding.key or None, "room": binding.room, "words": binding.words},
        "at_ceiling": {name: _amounts(amounts) for name, amounts in room.reserved.items()},
        "problem": room.problem or None,
    }


def _amounts(amounts: Mapping[str, Fraction]) -> dict[str, str]:
    return {key: written(key, amount) for key, amount in sorted(amounts.items())}
