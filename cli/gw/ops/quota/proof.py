"""Whether admission counts with a quota's new amounts: the quota controller's copy, then the next worker itself.

Quota admission compares with `status.hard`, which the controller copies from the spec, and reads quotas from a watch of
its own, which lags a moment behind (Kubernetes documentation, "Resource Quotas"; pkg admission/plugin/resourcequota).
So the proof is the next worker's pod, made as a server-side dry run, which goes through admission and leaves nothing.
A pod that is refused is a proof as well when the refusal names the new amount as the limit: the room is used up again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actions_gateway.api.quantities import parse_quantity
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.checks.catalog import CATALOG
from gw.checks.engine import judge, needs_of, select
from gw.checks.headroom import worker_outline
from gw.checks.model import Finding, Outcome
from gw.errors import TimedOut
from gw.ops.quota.usage import GroupRoom
from gw.ops.verification import Listener
from gw.sources.cluster import Cluster, asking, explain, one_line
from gw.sources.gateways import GroupFact
from gw.sources.gathering import gather_facts
from gw.sources.quotas import parse_quota
from gw.sources.rights import Right, ask_rights
from gw_alerts.thresholds import Severity

HEADROOM = "quota.headroom"
_LOOK_SECONDS = 0.5
_PROOF = "gw-quota-proof-"
_IMAGE = "proof.invalid/worker"
"""Never pulled: a dry run schedules nothing."""
_EXCEEDED = re.compile(r"exceeded quota: (?P<quota>[^,]+),.*\blimited: (?P<limited>[^,=]+=.*)\Z", re.DOTALL)
"""The words of Kubernetes' quota admission (plugin/pkg/admission/resourcequota/controller.go, checkRequest)."""
_CUT_AT = 500
"""So much of the server's words `KubeError` keeps; the last amount of a text as long as that may be cut."""
_KEPT = ("activeDeadlineSeconds", "affinity", "overhead", "priorityClassName", "resources", "runtimeClassName")
"""Beside its containers' resources: what of a pod decides which quotas count it, and with how much."""
_CONTAINER_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the strictest Pod Security profile asks, so that a refusal speaks of quota."""


@dataclass(frozen=True, slots=True)
class GroupProof:
    """What admission says of a group's next worker."""

    group: str
    is_admitted: bool = False
    refusal: str = ""
    """Of a worker that the quotas refuse although they count with the new amounts."""
    unproven: str = ""
    """Why nothing is known, as a sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class HeadroomResult:
    """What the check of quotas says in the end."""

    problems: tuple[Finding, ...]
    unknown: tuple[str, ...]
    worst: Severity | None


async def until_enforced(
    cluster: Cluster,
    namespace: str,
    name: str,
    amounts: Mapping[str, str],
    *,
    clock: Clock,
    deadline: float,
    listener: Listener,
) -> None:
    """Returns once the quota's status has the amounts; raises TimedOut."""
    words = ", ".join(f"{key}={amount}" for key, amount in amounts.items())
    while True:
        with asking(f"read the ResourceQuota {name}"):
            quota = parse_quota(await cluster.get(r.RESOURCEQUOTAS, name, namespace))
        if all(_is_equal(quota.enforced.get(key), amount) for key, amount in amounts.items()):
            listener.reached(f"quota {name} counts with {words}")
            return
        if other := next((key for key in amounts if not _is_equal(quota.wanted.get(key), amounts[key])), None):
            raise TimedOut(
                f"it was written, and somebody has set {other} of quota {name} to {quota.wanted.get(other)} since",
                f"See who with `kubectl get resourcequota {name} -n {namespace} -o yaml --show-managed-fields`.",
            )
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"it is written, and the quota controller has not taken {words} of quota {name} over",
                "Ask the platform's owners whether kube-controller-manager runs; the same command goes on waiting.",
            )
        listener.waiting(f"the quota controller takes {words} over")
        await clock.sleep(_LOOK_SECONDS)


async def prove_workers(
    cluster: Cluster,
    namespace: str,
    hard: Mapping[str, Mapping[str, str]],
    rooms: Sequence[GroupRoom],
    *,
    clock: Clock,
    deadline: float,
    listener: Listener,
) -> tuple[GroupProof, ...]:
    """The next worker of each group, tried as a server-side dry run; raises TimedOut and Blind."""
    if not rooms:
        return ()
    if not await _may_try(cluster, namespace):
        what = f"that the next worker counts with it: you may not create pods in {namespace}, not even as a dry run"
        return (GroupProof("", unproven=what),)
    return tuple(
        [
            await _prove(cluster, namespace, hard, room.group, clock=clock, deadline=deadline, listener=listener)
            for room in rooms
        ]
    )


def build_proof_pod(group: GroupFact, namespace: str) -> dict[str, Any]:
    """A pod that costs what the group's next worker does, and that every Pod Security profile admits."""
    outline = worker_outline(group.worker)["spec"]
    spec: dict[str, Any] = {key: outline[key] for key in _KEPT if outline.get(key)}
    if "activeDeadlineSeconds" in spec:
        spec["activeDeadlineSeconds"] = max(1, int(spec["activeDeadlineSeconds"]))
    if group.priority_class is not None:
        spec["priorityClassName"] = group.priority_class
    for field in ("initContainers", "containers"):
        spec[field] = [_container(each, is_initial=field == "initContainers") for each in outline[field]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": _PROOF, "namespace": namespace},
        "spec": {
            **spec,
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        },
    }


async def check_headroom(cluster: Cluster, namespace: str, clock: Clock) -> HeadroomResult:
    """The check `quota.headroom` once, now that the amounts count."""
    checks = select(CATALOG, [HEADROOM])
    (result,) = judge(checks, await gather_facts(cluster, namespace, needs_of(checks), clock), named=[HEADROOM])
    unknown = [f"{HEADROOM}: {one.summary}" for one in result.findings if one.outcome is Outcome.UNKNOWN]
    return HeadroomResult(result.problems, tuple(unknown[:1]), result.severity if result.problems else None)


async def _may_try(cluster: Cluster, namespace: str) -> bool:
    try:
        (fact,) = await ask_rights(cluster, [Right("create", r.PODS, namespace)])
    except errors.KubeError:
        # Whoever may not even ask hears it from the dry run.
        return True
    return fact.is_allowed


async def _prove(
    cluster: Cluster,
    namespace: str,
    hard: Mapping[str, Mapping[str, str]],
    group: GroupFact,
    *,
    clock: Clock,
    deadline: float,
    listener: Listener,
) -> GroupProof:
    pod = build_proof_pod(group, namespace)
    while True:
        try:
            await cluster.create(r.PODS, pod, dry_run=True)
        except errors.QuotaExceeded as problem:
            if not _is_by_old_amounts(problem.message, hard):
                refusal = _refusal_words(problem.message)
                listener.reached(f"the next worker of {group.name} waits: {refusal}")
                return GroupProof(group.name, refusal=refusal)
        except (errors.Forbidden, errors.Invalid) as problem:
            what = f"that the next worker of {group.name} counts with it: {one_line(problem.message)}"
            return GroupProof(group.name, unproven=what)
        except errors.KubeError as problem:
            raise explain(problem, f"try the next worker of {group.name}", writes=True) from problem
        else:
            listener.reached(f"the next worker of {group.name} is admitted (server-side dry run)")
            return GroupProof(group.name, is_admitted=True)
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"it is written, and admission still counts with the old amounts for the next worker of {group.name}",
                "Run the same command again: it changes nothing and tries the worker once more.",
            )
        listener.waiting("admission sees the new amounts")
        await clock.sleep(_LOOK_SECONDS)


def _is_by_old_amounts(message: str, hard: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether an adjusted quota refuses by a limit that it does not have any more."""
    match = _EXCEEDED.search(message)
    if match is None:
        return False
    entries = match["limited"].split(",")
    limited = [each.partition("=") for each in (entries[:-1] if len(message) >= _CUT_AT else entries)]
    amounts = hard.get(match["quota"].strip(), {})
    return any(key in amounts and not _is_equal(amount, amounts[key]) for key, _, amount in limited)


def _refusal_words(message: str) -> str:
    _, found, words = message.partition("exceeded quota: ")
    return one_line(f"exceeded quota {words}" if found else message)


def _is_equal(left: str | None, right: str) -> bool:
    return left is not None and parse_quantity(left) == parse_quantity(right)


def _container(container: Mapping[str, Any], *, is_initial: bool) -> dict[str, Any]:
    """A sidecar is told by its restart policy; the agent gives no other container one."""
    sidecar = {"restartPolicy": "Always"} if is_initial and container.get("restartPolicy") == "Always" else {}
    resources = {"resources": container["resources"]} if container.get("resources") else {}
    return {"name": container["name"], "image": _IMAGE, **sidecar, **resources, "securityContext": _CONTAINER_CONTEXT}
