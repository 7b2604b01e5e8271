"""Contains gateways and releases them: an annotation that the manager carries out, and the proof that it has."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.checks.wording import counted, lasting
from gw.errors import TimedOut
from gw.ops.changes.carrying import Carried, carry_out
from gw.ops.changes.plan import Plan, Step, change_step, unchanged_step
from gw.ops.incidents.engine import Outcome
from gw.ops.incidents.site import Site
from gw.sources.cluster import asking
from gw.sources.incidents import Target
from gw.sources.ownership import annotations_of
from gw.sources.pods import AGENT_SELECTOR

TARGET_SECONDS = 300.0
"""Within which a compromised key is contained, says the runbook: "Immediate steps (< 5 minutes)"."""
FIELD_MANAGER = "gw-incident"
_LOOK_SECONDS = 0.5
_SHOWN = 5
_OWNED = f"{labels.MANAGED_BY}={labels.BY_MANAGER}"


async def contain(site: Site) -> Outcome:
    """Every gateway of the incident without an agent and without traffic; raises GwError."""
    plan = await containment_plan(site, site.incident.targets, site.incident.name)
    await write_marks(site, plan, "Contain them now?")
    await _until_contained(site)
    seconds = (site.clock.now() - site.incident.opened_at).total_seconds()
    within = "within" if seconds <= TARGET_SECONDS else "later than"
    return Outcome(
        f"contained {lasting(seconds)} after the incident was opened, {within} the {lasting(TARGET_SECONDS)} that it "
        "may take",
        (*map(str, site.incident.targets[:_SHOWN]), "no agent has a pod", "every NetworkPolicy is without a rule"),
        facts={"containedAt": site.clock.now().isoformat()},
    )


async def release(site: Site) -> Outcome:
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
            kept.append(f"{target} stays contained, by {mark!r}")
    plan = Plan(site.incident.subject, tuple(steps), ("their agents start with the new key",))
    await write_marks(site, plan, "Release them?")
    return Outcome(f"{counted(len(steps) + free, 'gateway')} released", tuple(kept[:_SHOWN]))


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


async def _until_contained(site: Site) -> None:
    """Raises TimedOut that names what is still open."""
    deadline = site.clock.monotonic() + site.timeout_seconds
    while ways := await _open_ways(site):
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


async def _open_ways(site: Site) -> list[str]:
    """What of the gateways still works; by the objects themselves, since a status is as old as its writer's last look.

    One list of each kind, whatever the number of gateways.
    """
    namespaces = {target.namespace for target in site.incident.targets}
    with asking("look whether the containment is carried out"):
        pods = await _listed(site, r.PODS, AGENT_SELECTOR, namespaces)
        deployments = await _listed(site, r.DEPLOYMENTS, _OWNED, namespaces)
        policies = await _listed(site, r.NETWORKPOLICIES, _OWNED, namespaces)
    ways = [f"the agent of {_place(deployment)} is to run" for deployment in deployments if _is_to_run(deployment)]
    ways += [f"the agent's pod {_place(pod)} is still there" for pod in pods]
    ways += [f"the NetworkPolicy {_place(policy)} has rules" for policy in policies if _has_rules(policy)]
    return ways


async def _listed(site: Site, resource: r.Resource, selector: str, namespaces: set[str]) -> list[Mapping[str, Any]]:
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
