"""What came of a restart."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.restart.agent import RestartedAgent
from gw.ops.restart.manager import RestartedManager
from gw.output.changes import carried_view, dry_run_sentence
from gw.output.layout import stamp, styled
from gw.output.view import View
from gw.sources.rollouts import PodInstance

_SHOWN = 5


def restarted_agent_view(restarted: RestartedAgent) -> View:
    """One line for people; pods, sessions and jobs for programs."""
    adoption = restarted.adoption
    return carried_view(
        "RestartedAgent",
        restarted.carried,
        lambda: list(_agent_lines(restarted)),
        short=[f"{restarted.namespace} {pod.name}" for pod in restarted.pods],
        tenant=restarted.namespace,
        replaced=_pods_data(restarted.replaced),
        pods=_pods_data(restarted.pods),
        sessions={group.name: group.active_sessions for group in restarted.groups},
        jobs=None
        if adoption is None
        else {
            "before": adoption.before,
            "running": len(adoption.running),
            "adopted": list(adoption.adopted),
            "missing": list(adoption.missing),
            "ended": adoption.ended,
            "failed_renewals": None if adoption.unproven else adoption.failed_renewals,
        },
    )


def restarted_manager_view(restarted: RestartedManager) -> View:
    """One line for people; pods and leader for programs."""
    carried, pods = restarted.carried, restarted.pods
    count = counted(len(pods), "pod")
    gateways = counted(restarted.gateways, "gateway")
    done = f"The manager is restarted: {count} new and ready, {restarted.leader} leads, {gateways} looked at."
    return carried_view(
        "RestartedManager",
        carried,
        dry_run_sentence(carried) if carried.is_dry_run else done,
        short=[pod.name for pod in pods],
        replaced=_pods_data(restarted.replaced),
        pods=_pods_data(pods),
        leader=restarted.leader or None,
        gateways=restarted.gateways,
    )


def _agent_lines(restarted: RestartedAgent) -> Iterator[Text]:
    adoption = restarted.adoption
    if restarted.carried.is_dry_run or adoption is None:
        yield Text(dry_run_sentence(restarted.carried))
        return
    sessions = sum(group.active_sessions for group in restarted.groups)
    state = f"{counted(sessions, 'session')} open for {counted(len(restarted.groups), 'runner group')}"
    names = ", ".join(pod.name for pod in restarted.pods)
    yield Text(f"The agent of {restarted.namespace} is restarted: {names} is new, {state}, {adoption.words}.")
    if adoption.missing:
        more = len(adoption.missing) - _SHOWN
        listed = ", ".join(adoption.missing[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        yield Text.assemble(styled("Not adopted:", "bad"), f" {listed}; GitHub gives their jobs up after 10 min.")
    if adoption.failed_renewals:
        failed = counted(adoption.failed_renewals, "renewal")
        yield Text.assemble(styled("Locks:", "warn"), f" {failed} failed since, says its log; each is tried again.")


def _pods_data(pods: Sequence[PodInstance]) -> list[dict[str, Any]]:
    return [{"name": pod.name, "uid": pod.uid, "created_at": stamp(pod.created_at)} for pod in pods]
