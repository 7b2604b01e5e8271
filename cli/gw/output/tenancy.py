"""What came of a change of a tenant."""

from collections.abc import Iterator

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.tenancy.pause import PausedTenant
from gw.ops.tenancy.remove import RemovedTenant
from gw.ops.tenancy.scale import ScaledGroup
from gw.ops.tenancy.update import UpdatedTenant
from gw.output.changes import carried_view, dry_run_sentence
from gw.output.layout import styled
from gw.output.view import View


def updated_tenant_view(updated: UpdatedTenant) -> View:
    """One line for people; the fields for programs."""
    carried, name = updated.carried, updated.namespace
    verb = "is updated" if carried.is_written else "was so already"
    sessions = sum(group.active_sessions for group in updated.groups)
    sentence = f"Tenant {name} {verb}: manager and agent have taken it, {counted(sessions, 'session')} open."
    return carried_view(
        "UpdatedTenant",
        carried,
        sentence if updated.stands else dry_run_sentence(carried),
        short=[f"{name} {_word(updated.stands, 'updated')}"],
        tenant=name,
        gateway=updated.gateway,
        fields=list(updated.fields),
        stands=updated.stands,
        active_sessions=sessions if updated.stands else None,
    )


def paused_tenant_view(paused: PausedTenant) -> View:
    """What runs on, or what listens again."""
    carried = paused.carried
    word = "paused" if paused.is_pause else "resumed"
    return carried_view(
        "PausedTenant" if paused.is_pause else "ResumedTenant",
        carried,
        lambda: list(_paused_lines(paused)),
        short=[f"{paused.namespace} {_word(paused.stands, word)}"],
        tenant=paused.namespace,
        runner_groups=list(paused.groups),
        stands=paused.stands,
        running_jobs=paused.running_jobs,
        active_sessions=paused.sessions,
        held_by=list(paused.held),
    )


def scaled_group_view(scaled: ScaledGroup) -> View:
    """The bounds that hold now, and what the quotas lack for them."""
    carried = scaled.carried
    return carried_view(
        "ScaledRunnerGroup",
        carried,
        lambda: list(_scaled_lines(scaled)),
        short=[f"{scaled.group} {_word(scaled.stands, 'scaled')}"],
        tenant=scaled.namespace,
        runner_group=scaled.group,
        max_listeners=scaled.max_listeners,
        worker_ceiling=scaled.worker_ceiling,
        tiers=[{"priority_class": name, "threshold": threshold} for threshold, name in scaled.tiers],
        stands=scaled.stands,
        warnings=list(scaled.warnings),
    )


def removed_tenant_view(removed: RemovedTenant) -> View:
    """What is gone, and what stays."""
    carried, name = removed.carried, removed.namespace
    return carried_view(
        "RemovedTenant",
        carried,
        _removed_sentence(removed) if removed.stands else dry_run_sentence(carried),
        short=[f"{name} {_word(removed.stands, 'removed')}"],
        tenant=name,
        stands=removed.stands,
        drained=removed.is_drained,
        namespace_removed=removed.takes_namespace if removed.stands else None,
    )


def _word(stands: bool, word: str) -> str:
    return word if stands else "not written"


def _paused_lines(paused: PausedTenant) -> Iterator[Text]:
    if not paused.stands:
        yield Text(dry_run_sentence(paused.carried))
        return
    state = "is" if paused.carried.is_written else "was already"
    what = f"{paused.namespace} ({', '.join(paused.groups)})"
    if paused.is_pause:
        jobs = paused.running_jobs or 0
        end = "goes on to its end" if jobs == 1 else "go on to their end"
        on = f"{counted(jobs, 'running job')} {end}" if jobs else "no job runs"
        yield Text(f"Tenant {what} {state} paused: {_sessions(paused)}, and {on}.")
        return
    yield Text(f"Tenant {what} {state} resumed: {_sessions(paused)}.")
    for reason in paused.held:
        yield Text.assemble(styled("Still:", "warn"), f" {reason}.")


def _sessions(paused: PausedTenant) -> str:
    return f"{counted(paused.sessions, 'session')} open" if paused.sessions else "no session is open"


def _scaled_lines(scaled: ScaledGroup) -> Iterator[Text]:
    if not scaled.stands:
        yield Text(dry_run_sentence(scaled.carried))
    else:
        state = "is" if scaled.carried.is_written else "was already"
        tiers = ", ".join(f"{name}:{threshold}" for threshold, name in scaled.tiers)
        yield Text(
            f"Runner group {scaled.group} {state} scaled: at most {counted(scaled.max_listeners, 'session')} and "
            f"{counted(scaled.worker_ceiling, 'job')}{f', tiers {tiers}' if tiers else ''}."
        )
    for warning in scaled.warnings:
        yield Text.assemble(styled("Warning:", "warn"), f" {warning}.")


def _removed_sentence(removed: RemovedTenant) -> str:
    if removed.was_absent:
        return f"Nothing to remove: there is no namespace {removed.namespace}."
    gone = f"Tenant {removed.namespace} is gone" if removed.had_gateway else f"{removed.namespace} has no gateway"
    place = "its namespace, too" if removed.takes_namespace else "the namespace stays"
    jobs = "; its jobs had ended before" if removed.is_drained else ""
    return f"{gone}, {place}{jobs}."
