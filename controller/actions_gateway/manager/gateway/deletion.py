"""How a served gateway goes: its runners at GitHub, then its objects, then the finalizer that kept it.

The agent removes the runners, since it alone holds the credential: its groups are suspended, and it reports when none
is left. Nobody waits for ever: an agent that cannot do it is waited for half a minute, any agent five minutes, and the
whole takes ten, after which the garbage collector has what remains. All of it follows from the objects and the time
since the deletion, so that a manager that was away goes on where things stand.

Objects go in the order of their need: RunnerGroups with their workers, then the agent, which ends its sessions through
the proxy, then the proxy, then what surrounded them; the NetworkPolicies outlive every pod. Deletion in the foreground
makes an owner wait for its pods: a Deployment for those of its ReplicaSets, a RunnerGroup for its workers, whose owner
reference blocks it (Kubernetes documentation, "Garbage Collection", "Foreground cascading deletion").
"""

from datetime import datetime, timedelta

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason, find_condition
from actions_gateway.api.names import AGENT, GATEWAY_FINALIZER, runner_group_name, uid_part
from actions_gateway.github.urls import scope_of
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import DEPLOYMENTS, NETWORKPOLICIES, RUNNERGROUPS, Resource
from actions_gateway.manager.gateway.children import CHILD_KINDS
from actions_gateway.manager.gateway.conditions import Verdict
from actions_gateway.manager.gateway.containment import decide_containment
from actions_gateway.manager.gateway.snapshot import (
    DeleteChild,
    Deletion,
    Notice,
    Plan,
    RemoveFinalizer,
    Snapshot,
    Step,
    SuspendGroup,
)
from actions_gateway.manager.gateway.verdict.credential import credential_condition, keeps_from_jobs
from actions_gateway.manager.gateway.verdict.groups import named
from actions_gateway.manager.gateway.verdict.lifecycle import deleting_condition, is_contained
from actions_gateway.manager.gateway.verdict.workloads import agent_condition

HELPLESS_AGENT_SECONDS = 30.0
"""How long an agent that is down or has no credential may take to come back."""
REGISTRATIONS_SECONDS = 300.0
"""How long runners at GitHub are waited for at most: a job that still runs holds its own."""
WHOLE_SECONDS = 600.0
LEFT_AT_GITHUB = "RunnersLeftAtGitHub"
LEFT_IN_CLUSTER = "ObjectsLeftInCluster"

_FOREGROUND = "foregroundDeletion"
"""The finalizer of an object whose dependents are being deleted first (k8s.io/apimachinery meta/v1)."""
_RUNNER_PREFIX = 40

_Child = tuple[Resource, Manifest]


def is_leaving(manifest: Manifest) -> bool:
    """Whether the object is being deleted."""
    return "deletionTimestamp" in manifest["metadata"]


def is_kept(gateway: Manifest) -> bool:
    """Whether our finalizer is on the gateway."""
    return GATEWAY_FINALIZER in (gateway["metadata"].get("finalizers") or ())


def has_left(gateway: Manifest) -> bool:
    """Whether the gateway has given its place free: it is being deleted, and nothing of ours is left of it."""
    return is_leaving(gateway) and not is_kept(gateway)


def decide_deletion(snapshot: Snapshot, now: datetime) -> Plan | None:
    """What the deletion of a gateway needs next; None when nothing of ours keeps it, as one that was never served."""
    if has_left(snapshot.gateway):
        return None
    age_seconds = _age_seconds(snapshot.gateway, now)
    remaining = _remaining(snapshot)
    if age_seconds >= WHOLE_SECONDS or not remaining or is_leaving(snapshot.namespace) or not snapshot.is_marked:
        # In a namespace that goes, all goes at once and in no order; in one that is no tenant's we may write nothing.
        return _release(snapshot, remaining)
    if is_contained(snapshot.gateway) and (stages := decide_containment(snapshot)):
        message = "The gateway is contained before its objects go."
        # At once: nothing else may call for the pass that goes on.
        return Plan(None, None, stages, Deletion(Reason.REMOVING_OBJECTS, message, 0.0))
    if groups := _waited_for(snapshot, age_seconds):
        return _remove_registrations(snapshot, groups, age_seconds)
    return _remove_objects(snapshot, remaining, age_seconds)


def leaving_verdict(verdict: Verdict, deletion: Deletion) -> Verdict:
    """The conditions of a gateway on its way out: not Ready, and Deleting."""
    others = (condition for condition in verdict.conditions if condition.type is not ConditionType.READY)
    ready = Condition(ConditionType.READY, ConditionStatus.FALSE, deletion.reason, deletion.message)
    deleting = deleting_condition(deletion.reason, deletion.message)
    return Verdict((ready, *others, deleting), deletion.again_after_seconds)


# -- stages ----------------------------------------------------------------------------------------------------------


def _remove_registrations(snapshot: Snapshot, groups: list[Manifest], age_seconds: float) -> Plan:
    limit_seconds = REGISTRATIONS_SECONDS if _can_answer(snapshot) else HELPLESS_AGENT_SECONDS
    until = _deleted_at(snapshot.gateway) + timedelta(seconds=limit_seconds)
    deletion = Deletion(
        Reason.REMOVING_REGISTRATIONS,
        f"The agent removes the runners of {named([_name(group) for group in groups])} at GitHub; "
        f"what it has not done by {until:%H:%M:%S} UTC is left to GitHub.",
        limit_seconds - age_seconds,
    )
    steps = tuple(SuspendGroup(_name(group), _uid(group)) for group in groups if not _is_suspended(group))
    return Plan(None, None, (steps,), deletion)


def _remove_objects(snapshot: Snapshot, remaining: list[_Child], age_seconds: float) -> Plan:
    """Deletes what nothing that is still there needs."""
    holding = [child for child in remaining if not _is_held_by_others(child[1])]
    first = min((_rank(child) for child in holding), default=0)
    steps = [
        DeleteChild(resource, _name(manifest), _uid(manifest), is_foreground=_rank((resource, manifest)) < _UNORDERED)
        for resource, manifest in holding
        if _rank((resource, manifest)) == first and not is_leaving(manifest)
    ]
    deletion = Deletion(
        Reason.REMOVING_OBJECTS,
        f"Still there: {named([_described(child) for child in remaining])}.",
        WHOLE_SECONDS - age_seconds,
        notices=_left_at_github(snapshot),
    )
    return Plan(None, None, (tuple(steps),), deletion)


def _release(snapshot: Snapshot, remaining: list[_Child]) -> Plan:
    gateway, place = snapshot.gateway, snapshot.namespace
    notices = _left_at_github(snapshot)
    if remaining and not is_leaving(place):
        text = (
            f"The gateway goes, and leaves to the garbage collector: {named([_described(one) for one in remaining])}."
        )
        notices = (*notices, Notice(gateway, LEFT_IN_CLUSTER, text))
    others = tuple(name for name in gateway["metadata"]["finalizers"] if name != GATEWAY_FINALIZER)
    step: Step = RemoveFinalizer(_name(gateway), others, str(gateway["metadata"]["resourceVersion"]))
    message = f"The finalizer {GATEWAY_FINALIZER} is removed."
    return Plan(None, None, ((step,),), Deletion(Reason.REMOVING_OBJECTS, message, 0.0, is_over=True, notices=notices))


# -- runners at GitHub -----------------------------------------------------------------------------------------------


def _waited_for(snapshot: Snapshot, age_seconds: float) -> list[Manifest]:
    """The groups whose runners somebody may still remove."""
    agent = snapshot.agent
    if age_seconds >= REGISTRATIONS_SECONDS or agent is None or (agent.get("spec") or {}).get("replicas") == 0:
        return []
    if age_seconds >= HELPLESS_AGENT_SECONDS and not _can_answer(snapshot):
        return []
    return _with_runners(snapshot)


def _with_runners(snapshot: Snapshot) -> list[Manifest]:
    """The groups that have, or may have, runners at GitHub; one that is being deleted is its agent's business."""
    return [group for group in snapshot.runner_groups if not is_leaving(group) and _runners(group) != 0]


def _runners(group: Manifest) -> int | None:
    """How many runners GitHub knows; None while the agent has not said that it opens no further ones."""
    status = group.get("status") or {}
    count: int | None = status.get("registrations")
    is_current = int(status.get("observedGeneration") or 0) >= int(group["metadata"].get("generation") or 0)
    return None if count == 0 and not (is_current and _is_suspended(group)) else count


def _can_answer(snapshot: Snapshot) -> bool:
    """Whether there is an agent that can ask GitHub for something."""
    agent = agent_condition(snapshot)
    credential = credential_condition(snapshot, agent)
    has_lost_it = credential.status is ConditionStatus.TRUE and keeps_from_jobs(credential)
    return agent.status is ConditionStatus.TRUE and not has_lost_it


def _left_at_github(snapshot: Snapshot) -> tuple[Notice, ...]:
    """What may remain, for the people who have to look: GitHub shows such runners as offline."""
    left = _runners_left(snapshot)
    if not left:
        return ()
    counts = [count for _, count in left]
    count = "an unknown number of" if None in counts else str(sum(count or 0 for count in counts))
    text = (
        f"ActionsGateway {_name(snapshot.gateway)} in {snapshot.gateway['metadata']['namespace']} may leave {count} "
        f"runners named {named([name for name, _ in left])} at GitHub, which removes single-use runners by itself: "
        f"after their job, or about a day after they were last online.{_by_hand(snapshot.gateway)}"
    )
    # Nothing is created any more in a namespace that is being deleted, events included.
    regarding = snapshot.namespace if is_leaving(snapshot.namespace) else snapshot.gateway
    return (Notice(regarding, LEFT_AT_GITHUB, text),)


def _runners_left(snapshot: Snapshot) -> list[tuple[str, int | None]]:
    """By group, what the names of its runners are like, and how many there are, None when nobody has said so."""
    known = [
        (f"{_name(group)[:_RUNNER_PREFIX]}-{uid_part(_uid(group))}-*", _runners(group))
        for group in _with_runners(snapshot)
    ]
    stage = find_condition(snapshot.gateway, ConditionType.DELETING) or {}
    if known or not is_leaving(snapshot.namespace) or stage.get("reason") == Reason.REMOVING_OBJECTS:
        return known
    # The end of its namespace takes the groups along with all else, before anybody sees what they had.
    gateway, spec = snapshot.gateway, snapshot.gateway.get("spec") or {}
    groups = [runner_group_name(_name(gateway), entry["name"]) for entry in spec.get("runnerGroups") or []]
    return [(f"{group[:_RUNNER_PREFIX]}-*", None) for group in groups]


def _by_hand(gateway: Manifest) -> str:
    """How a person removes them; nothing where the URL says not where they are."""
    try:
        scope = scope_of(str((gateway.get("spec") or {}).get("gitHubURL")))
    except ValueError:
        return ""
    host = "" if scope.host == "github.com" else f" --hostname {scope.host}"
    return (
        f" By hand: 'gh api{host} --paginate {scope.runners_path}' lists those of {scope.repository or scope.owner}, "
        f"'gh api{host} -X DELETE {scope.runners_path}/ID' removes one."
    )


# -- objects ---------------------------------------------------------------------------------------------------------

_UNORDERED = 3


def _rank(child: _Child) -> int:
    """When an object goes; those before `_UNORDERED` own pods."""
    resource, manifest = child
    if resource == RUNNERGROUPS:
        return 0
    if resource == DEPLOYMENTS:
        return 1 if _name(manifest) == AGENT else 2
    return _UNORDERED + (resource == NETWORKPOLICIES)


def _remaining(snapshot: Snapshot) -> list[_Child]:
    children = [(resource, manifest) for resource in CHILD_KINDS for manifest in snapshot.owned(resource)]
    return sorted(children, key=_rank)


def _is_held_by_others(manifest: Manifest) -> bool:
    """Its pods are gone, and it is not: somebody's finalizer is on it."""
    return is_leaving(manifest) and _FOREGROUND not in (manifest["metadata"].get("finalizers") or ())


def _described(child: _Child) -> str:
    resource, manifest = child
    foreign = [name for name in manifest["metadata"].get("finalizers") or () if name != _FOREGROUND]
    held = f" (held by the finalizer {named(foreign)})" if foreign else ""
    return f"{resource.kind} {_name(manifest)}{held}"


def _deleted_at(gateway: Manifest) -> datetime:
    return datetime.fromisoformat(str(gateway["metadata"]["deletionTimestamp"]))


def _age_seconds(gateway: Manifest, now: datetime) -> float:
    """Since the deletion; a server's clock that is ahead of ours must not prolong it by more than that."""
    return max(0.0, (now - _deleted_at(gateway)).total_seconds())


def _is_suspended(group: Manifest) -> bool:
    return bool((group.get("spec") or {}).get("suspended"))


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def _uid(manifest: Manifest) -> str:
    return str(manifest["metadata"]["uid"])
