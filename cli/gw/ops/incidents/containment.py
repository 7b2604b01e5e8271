"""Contains gateways and releases them: an annotation that the manager carries out, and the proof that it has."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.checks.wording import counted, lasting
from gw.errors import GwError, Refused, TimedOut
from gw.ops.changes.carrying import Carried, carry_out
from gw.ops.changes.plan import Plan, Step, change_step, unchanged_step
from gw.ops.changes.rehearsal import rehearse
from gw.ops.incidents.engine import Outcome, Proof, Task, Truth
from gw.ops.incidents.site import Site
from gw.sources.cluster import asking
from gw.sources.incidents import Target
from gw.sources.ownership import annotations_of, labels_of
from gw.sources.pods import AGENT_SELECTOR

TARGET_SECONDS = 300.0
"""Within which a compromised key is contained, says the runbook: "Immediate steps (< 5 minutes)"."""
FIELD_MANAGER = "gw-incident"
_LOOK_SECONDS = 0.5
_SHOWN = 5
_POLICIES = (names.AGENT, names.PROXY, names.WORKLOAD_POLICY)
_OWNED = f"{labels.MANAGED_BY}={labels.BY_MANAGER}"


async def contain(site: Site) -> Outcome:
    """Every gateway of the incident without an agent and without traffic; raises GwError."""
    plan = await containment_plan(site, site.incident.targets, site.incident.name)
    possible, refused = await _sorted_out(site, plan)
    await write_marks(site, possible, "Contain them now?")
    await _until_contained(site, but={step.namespace or "" for step, _ in refused})
    if refused:
        raise _partly(refused)
    seconds = (site.clock.now() - site.incident.opened_at).total_seconds()
    within = "within" if seconds <= TARGET_SECONDS else "later than"
    return Outcome(
        f"contained {lasting(seconds)} after the incident was opened, {within} the {lasting(TARGET_SECONDS)} that it "
        "may take",
        (
            *map(str, site.incident.targets[:_SHOWN]),
            "no agent has a pod",
            "every NetworkPolicy of the manager's is without a rule",
            *await _strangers_policies(site),
        ),
        facts={"containedAt": site.clock.now().isoformat()},
    )


async def _sorted_out(site: Site, plan: Plan) -> tuple[Plan, list[tuple[Step, GwError]]]:
    """The plan with what the server takes, and what it refuses: one gateway must not keep the others open."""
    steps, refused = list[Step](), list[tuple[Step, GwError]]()
    for step in plan.steps:
        try:
            await rehearse(site.cluster, replace(plan, steps=(step,)), field_manager=FIELD_MANAGER)
        except Refused as problem:
            refused.append((step, problem))
        else:
            steps.append(step)
    if not steps and refused:
        raise _partly(refused)
    return replace(plan, steps=tuple(steps)), refused


def _partly(refused: Sequence[tuple[Step, GwError]]) -> GwError:
    (step, first), lines = refused[0], [f"{step.namespace}/{step.name}: {problem.what}" for step, problem in refused]
    return Refused(
        f"{counted(len(refused), 'gateway')} cannot be contained, {step.namespace}/{step.name} first: {first.what}",
        "Suspend the App's installations at GitHub now. Mend that, then run this again; or go on with --skip contain.",
        details=tuple(lines[:_SHOWN]),
    )


async def release(site: Site) -> Outcome | Task:
    """The gateways without this incident's annotation; another's stays. Raises GwError."""
    name, kept, free = site.incident.name, list[str](), 0
    steps = list[Step]()
    for target, live in await _live(site, site.incident.targets):
        mark = annotations_of(live).get(labels.CONTAINED)
        if mark == name:
            steps.append(change_step(live, _mark(None), "agent and traffic come back"))
        elif mark is None:
            free += 1
        else:
            kept.append(
                f"{target} is contained by {mark!r} as well: kubectl annotate actionsgateway -n {target.namespace} "
                f"{target.gateway} {labels.CONTAINED}-"
            )
    plan = Plan(site.incident.subject, tuple(steps), ("their agents start with the new key",))
    await write_marks(site, plan, "Release them?")
    if kept:
        lines = ("Somebody else has contained them; ask, and take the annotation away when it is over:", *kept[:_SHOWN])
        return Task(lines, lambda: _proof_of_release(site))
    return Outcome(f"{counted(len(steps) + free, 'gateway')} released")


async def _proof_of_release(site: Site) -> Proof:
    left = [
        str(at) for at, live in await _live(site, site.incident.targets) if labels.CONTAINED in annotations_of(live)
    ]
    return (
        Proof(Truth.DISPROVEN, f"{', '.join(left[:_SHOWN])} is still contained")
        if left
        else Proof(Truth.PROVEN, "no gateway is contained any more")
    )


async def containment_plan(site: Site, targets: Sequence[Target], value: str) -> Plan:
    """Which gateways get the annotation; one that another incident contains keeps its own."""
    steps = [
        unchanged_step(live, "contained already")
        if labels.CONTAINED in annotations_of(live)
        else change_step(live, _mark(value), "no agent, no traffic")
        for _, live in await _live(site, targets)
    ]
    return Plan(
        site.incident.subject,
        tuple(steps),
        (
            "their agents end, and revoke their own tokens as far as they still can",
            "jobs that run lose their network and their locks, and GitHub gives them up about 10 minutes later",
            "nobody's jobs start until the containment is lifted",
        ),
    )


async def write_marks(site: Site, plan: Plan, question: str) -> Carried:
    """GitOps leaves annotations that it does not keep where they are, so its owning the gateway holds nothing up."""
    return await carry_out(
        site.cluster,
        plan,
        site.manner,
        conversation=site.conversation,
        field_manager=FIELD_MANAGER,
        question=question,
        heeds_gitops=False,
    )


def _mark(value: str | None) -> dict[str, Any]:
    return {"metadata": {"annotations": {labels.CONTAINED: value}}}


async def _live(site: Site, targets: Iterable[Target]) -> list[tuple[Target, Mapping[str, Any]]]:
    """Those that are still there."""
    found = list[tuple[Target, Mapping[str, Any]]]()
    with asking("read the gateways"):
        for target in targets:
            try:
                found.append((target, await site.cluster.get(r.ACTIONSGATEWAYS, target.gateway, target.namespace)))
            except errors.NotFound:
                continue
    return found


async def _until_contained(site: Site, *, but: Collection[str]) -> None:
    """Raises TimedOut that names what is still open; nothing is asked of the namespaces `but`."""
    deadline = site.clock.monotonic() + site.timeout_seconds
    while ways := await _open_ways(site, but):
        if site.clock.monotonic() >= deadline:
            raise TimedOut(
                f"after {site.timeout_seconds:.0f} s the containment is not carried out ({ways[0]})",
                "It is the manager's to do: `gw health --check manager.running --check manager.leading`. Suspend the "
                "installation at GitHub meanwhile.",
                details=tuple(ways[:_SHOWN]),
            )
        site.conversation.waiting(ways[0])
        await site.clock.sleep(_LOOK_SECONDS)
    site.conversation.reached("no agent runs and no traffic passes")


async def _open_ways(site: Site, but: Collection[str]) -> list[str]:
    """What of the gateways still works; by the objects themselves, since a status is as old as its writer's last look.

    One list of each kind, whatever the number of gateways.
    """
    there = {target.namespace for target, _ in await _live(site, site.incident.targets)}
    namespaces = there - set(but)
    with asking("look whether the containment is carried out"):
        pods = await _listed(site, r.PODS, AGENT_SELECTOR, namespaces)
        deployments = await _listed(site, r.DEPLOYMENTS, _OWNED, namespaces)
        policies = await _listed(site, r.NETWORKPOLICIES, _OWNED, namespaces)
    ways = [f"the agent of {_place(deployment)} is to run" for deployment in deployments if _is_to_run(deployment)]
    ways += [f"the agent's pod {_place(pod)} is still there" for pod in pods]
    ways += [f"the NetworkPolicy {_place(policy)} has rules" for policy in policies if _has_rules(policy)]
    known = {_place(policy) for policy in policies}
    wanted = [f"{namespace}/{name}" for namespace in sorted(namespaces) for name in _POLICIES]
    ways += [f"the NetworkPolicy {place} is missing" for place in wanted if place not in known]
    return ways


async def _strangers_policies(site: Site) -> list[str]:
    """NetworkPolicies add up: what somebody else's allows passes whatever the manager's say."""
    namespaces = {target.namespace for target in site.incident.targets}
    with asking("list the NetworkPolicies"):
        found = await _listed(site, r.NETWORKPOLICIES, None, namespaces)
    own = [each for each in found if labels_of(each).get(labels.MANAGED_BY) != labels.BY_MANAGER]
    return [
        f"not closed: the NetworkPolicy {_place(each)} is somebody else's, and has rules"
        for each in own
        if _has_rules(each)
    ]


async def _listed(
    site: Site, resource: r.Resource, selector: str | None, namespaces: set[str]
) -> list[Mapping[str, Any]]:
    where = next(iter(namespaces)) if len(namespaces) == 1 else None
    found = await site.cluster.list(resource, where, label_selector=selector)
    return [each for each in found.items if each["metadata"].get("namespace") in namespaces]


def _has_rules(policy: Mapping[str, Any]) -> bool:
    spec = policy.get("spec") or {}
    return bool(spec.get("ingress") or spec.get("egress"))


def _is_to_run(deployment: Mapping[str, Any]) -> bool:
    is_agent = deployment["metadata"]["name"] == names.AGENT
    return is_agent and bool((deployment.get("spec") or {}).get("replicas", 1))


def _place(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
