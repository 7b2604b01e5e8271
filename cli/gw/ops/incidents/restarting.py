"""A restart as a step of an incident: `gw restart`, and what it saw as sentences."""

from gw.checks.wording import counted
from gw.ops.incidents.site import Site
from gw.ops.restart.agent import restart_agent
from gw.ops.restart.manager import restart_manager
from gw.ops.restart.rollout import Restart
from gw.sources.rollouts import PodInstance


async def restart(site: Site, namespace: str | None) -> tuple[str, ...]:
    """What was seen of a tenant's new agent, or of the new manager; raises GwError."""
    order = Restart(site.timeout_seconds, site.manner)
    if namespace is None:
        manager = await restart_manager(site.cluster, order, clock=site.clock, conversation=site.conversation)
        observed = f"the statuses of {counted(manager.gateways, 'gateway')} speak of their present specs"
        return f"{manager.leader} leads", _exchanged(manager.replaced, manager.pods), observed
    agent = await restart_agent(site.cluster, namespace, order, clock=site.clock, conversation=site.conversation)
    adopted = [agent.adoption.words] if agent.adoption is not None else []
    if agent.adoption is not None and agent.adoption.missing:
        adopted.append(f"nobody keeps {', '.join(agent.adoption.missing)}")
    unproven = tuple(f"not seen: {line}" for line in agent.carried.plan.unproven)
    return _exchanged(agent.replaced, agent.pods), *adopted, *unproven


def _exchanged(before: tuple[PodInstance, ...], after: tuple[PodInstance, ...]) -> str:
    old = ", ".join(pod.name for pod in before) or "no pod"
    return f"{', '.join(pod.name for pod in after)} in place of {old}"
